//! `config default|check|schema`

use pilothouse_node::config;

use crate::args::ConfigCommand;
use crate::output::{data, note};

pub(super) fn run(command: &ConfigCommand) -> anyhow::Result<()> {
    match command {
        ConfigCommand::Default => data(config::default_toml().trim_end()),
        ConfigCommand::Schema => data(&config::schema_json()),
        ConfigCommand::Check { file } => {
            config::load(Some(file))?;
            note(&format!("{} is valid", file.display()));
            Ok(())
        }
    }
}
