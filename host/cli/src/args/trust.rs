//! Commands around trust: keys, signatures, registries.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand};

/// What people do with a component before a server gets it.
#[derive(Debug, Subcommand)]
pub(crate) enum TrustCommand {
    /// Make a key pair: NAME.key (secret, for you alone) and NAME.pub. Example: pilothouse policy keygen --out ci
    Keygen {
        /// Where to write, without ending.
        #[arg(long)]
        out: PathBuf,
    },
    /// Sign a component. Example: pilothouse policy sign mine.wasm --key ci.key
    Sign(SignArgs),
    /// Check a signature, without a server. Example: pilothouse policy verify mine.wasm --keys ci.pub
    Verify {
        /// The component.
        file: PathBuf,
        /// The signature; FILE.sig if left out.
        #[arg(long)]
        signature: Option<PathBuf>,
        /// Whose signatures count: a .pub file, or what `pilothouse keys list --output json` printed.
        #[arg(long)]
        keys: PathBuf,
    },
    /// Put a component into a registry, with the signature beside it. Example: pilothouse policy push mine.wasm ghcr.io/me/mine:1.0.0
    Push {
        /// The component.
        file: PathBuf,
        /// REGISTRY/NAME:TAG
        reference: String,
        /// The signature; FILE.sig if left out and there.
        #[arg(long)]
        signature: Option<PathBuf>,
        #[command(flatten)]
        registry: RegistryArgs,
    },
    /// Get a component, and its signature beside it. Example: pilothouse policy pull ghcr.io/me/mine:1.0.0 --out mine.wasm
    Pull {
        /// REGISTRY/NAME:TAG, or REGISTRY/NAME@sha256:DIGEST to get exactly that.
        reference: String,
        /// Where to write it; the last part of NAME with .wasm if left out.
        #[arg(long)]
        out: Option<PathBuf>,
        /// Check the signature with these keys before anything is written (see `policy verify`).
        #[arg(long)]
        keys: Option<PathBuf>,
        /// Ask nobody: take it from the cache, by digest.
        #[arg(long)]
        offline: bool,
        #[command(flatten)]
        registry: RegistryArgs,
    },
    /// Sign a component and push it under its version. Example: pilothouse policy publish mine.wasm ghcr.io/me/mine --key ci.key
    Publish {
        #[command(flatten)]
        sign: SignArgs,
        /// REGISTRY/NAME, without a tag.
        reference: String,
        #[command(flatten)]
        registry: RegistryArgs,
    },
}

#[derive(Debug, ClapArgs)]
pub(crate) struct SignArgs {
    /// The component.
    pub(crate) file: PathBuf,
    /// The secret key: NAME.key of `policy keygen`, or one of `minisign -G` (its password in PILOTHOUSE_KEY_PASSWORD).
    #[arg(long)]
    pub(crate) key: PathBuf,
    /// Where to write the signature; FILE.sig if left out.
    #[arg(long)]
    pub(crate) out: Option<PathBuf>,
    /// Fuel that a decision needs at most; the family's default if left out.
    #[arg(long)]
    pub(crate) fuel: Option<u64>,
    /// Time that a decision needs at most, ms; the family's default if left out.
    #[arg(long)]
    pub(crate) deadline_ms: Option<u64>,
    /// Memory that an instance needs at most, MiB; 16 if left out.
    #[arg(long)]
    pub(crate) memory_mib: Option<u32>,
}

#[derive(Debug, Clone, ClapArgs)]
pub(crate) struct RegistryArgs {
    /// Talk plain HTTP to the registry, although it is not on loopback.
    #[arg(long)]
    pub(crate) insecure: bool,
    /// Name for the registry.
    #[arg(long, env = "PILOTHOUSE_REGISTRY_USERNAME")]
    pub(crate) username: Option<String>,
    /// Password or token for the registry.
    #[arg(long, env = "PILOTHOUSE_REGISTRY_PASSWORD", hide_env_values = true)]
    pub(crate) password: Option<String>,
    /// Time that one request to the registry may take, ms.
    #[arg(long, default_value_t = 60_000)]
    pub(crate) timeout_ms: u64,
}

/// How a component comes into a server.
#[derive(Debug, ClapArgs)]
pub(crate) struct BringArgs {
    /// Signature of the file; FILE.sig if left out and there.
    #[arg(long)]
    pub(crate) signature: Option<PathBuf>,
    /// Even if a newer version of it, signed by a trusted key, was active in the slot.
    #[arg(long)]
    pub(crate) allow_downgrade: bool,
    /// Ask no registry: take oci://…@sha256:… from the cache.
    #[arg(long)]
    pub(crate) offline: bool,
    #[command(flatten)]
    pub(crate) registry: RegistryArgs,
}

/// Keys of a server.
#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// All keys, revoked ones included.
    List,
    /// Trust a key. Example: pilothouse keys add ci ci.pub
    Add {
        /// What to call it.
        name: String,
        /// Its .pub file.
        file: PathBuf,
    },
    /// Trust a key no more. What is active serves on and is reported. Example: pilothouse keys revoke ci --reason "laptop lost"
    Revoke {
        /// The key.
        name: String,
        /// Why, for those who audit.
        #[arg(long, default_value = "")]
        reason: String,
    },
}
