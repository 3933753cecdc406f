//! Reads configuration text; says what is wrong, in which file, at which key, and what would be right.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::{Config, check};

/// Largest configuration file, bytes.
const CONFIG_BYTES_MAX: u64 = 1 << 20;

/// Why a configuration is no good.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read configuration file {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
    /// The file is too large to be a configuration.
    #[error("configuration file {} has more than {CONFIG_BYTES_MAX} bytes; a configuration has at most that", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// What is in the file is not valid.
    #[error("configuration file {}: {problem}", path.display())]
    InFile {
        /// The file.
        path: PathBuf,
        /// What, where in the file, and what would be right.
        problem: Box<ConfigError>,
    },
    /// Not TOML, an unknown key, or a value of the wrong type. The text has line, column and key.
    #[error("configuration is not valid:\n{0}")]
    Syntax(Box<toml::de::Error>),
    /// A value that its type allows and its meaning does not.
    #[error("`{key}` is {value}: {problem}")]
    Value {
        /// Path of the key.
        key: String,
        /// The value given.
        value: String,
        /// What is wrong and what would be right.
        problem: String,
    },
}

/// Reads a file; no file means the defaults.
///
/// # Errors
/// [`ConfigError`] with the place.
pub fn load(path: Option<&Path>) -> Result<Config, ConfigError> {
    let Some(path) = path else { return Ok(Config::default()) };
    let unreadable = |source| ConfigError::Unreadable { path: path.to_owned(), source };
    let file = File::open(path).map_err(unreadable)?;
    let mut text = String::new();
    // One byte more than allowed, so that a file at the bound and one beyond it differ; a device has no size to ask for.
    file.take(CONFIG_BYTES_MAX + 1).read_to_string(&mut text).map_err(unreadable)?;
    if text.len() as u64 > CONFIG_BYTES_MAX {
        return Err(ConfigError::TooLarge { path: path.to_owned() });
    }
    parse(&text).map_err(|problem| ConfigError::InFile { path: path.to_owned(), problem: Box::new(problem) })
}

/// Reads text.
///
/// # Errors
/// [`ConfigError`] with the place.
pub fn parse(text: &str) -> Result<Config, ConfigError> {
    let config: Config = toml::from_str(text).map_err(|error| ConfigError::Syntax(Box::new(error)))?;
    check(&config)?;
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_in_a_file_names_file_key_and_what_to_do_and_a_file_without_an_end_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pilothouse.toml");
        std::fs::write(&path, "[placement]\nmax-concurrent-migrations = 0\n").unwrap();
        let said = load(Some(&path)).unwrap_err().to_string();
        for wanted in ["pilothouse.toml", "placement.max-concurrent-migrations", "use at least 1"] {
            assert!(said.contains(wanted), "{said}");
        }
        let unending = load(Some(Path::new("/dev/zero"))).unwrap_err();
        assert!(matches!(unending, ConfigError::TooLarge { .. }), "{unending}");
        assert_eq!(load(None).unwrap(), Config::default());
    }
}
