//! Reads configuration text; says what is wrong, in which file, at which key, and what would be right.

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
    #[error("configuration file {} has {bytes} bytes, at most {CONFIG_BYTES_MAX} are read", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
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
    let bytes = std::fs::metadata(path).map_err(unreadable)?.len();
    if bytes > CONFIG_BYTES_MAX {
        return Err(ConfigError::TooLarge { path: path.to_owned(), bytes });
    }
    parse(&std::fs::read_to_string(path).map_err(unreadable)?)
        .map_err(|problem| ConfigError::InFile { path: path.to_owned(), problem: Box::new(problem) })
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
    fn a_mistake_in_a_file_names_file_key_and_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pilothouse.toml");
        std::fs::write(&path, "[placement]\nmax-concurrent-migrations = 0\n").unwrap();
        let said = load(Some(&path)).unwrap_err().to_string();
        for wanted in ["pilothouse.toml", "placement.max-concurrent-migrations", "use at least 1"] {
            assert!(said.contains(wanted), "{said}");
        }
        assert_eq!(load(None).unwrap(), Config::default());
    }
}
