//! Every default policy and example agent as a component, with its digest.
//!
//! policies/FAMILY/NAME -> `build.rs` (compile, componentize) -> [`ALL`]
//!
//! Invariant: what is here was compiled from the source in this tree; adding a policy is adding a folder.

/// A default policy, or an example agent.
#[derive(Debug, Clone, Copy)]
pub struct DefaultPolicy {
    /// `balancing`, `placement`, `routing` or `scaling`; of others the name of their folder.
    pub family: &'static str,
    /// Its name.
    pub name: &'static str,
    /// The component.
    pub bytes: &'static [u8],
}

include!(concat!(env!("OUT_DIR"), "/policies.rs"));

/// The policy of a family with a name.
#[must_use]
pub fn find(family: &str, name: &str) -> Option<&'static DefaultPolicy> {
    ALL.iter().find(|policy| policy.family == family && policy.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_folder_is_in_the_bundle() {
        let names: Vec<String> =
            ALL.iter().map(|policy| format!("{}/{}", policy.family, policy.name)).collect();
        for family in ["balancing", "placement", "routing", "scaling"] {
            let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(family);
            for entry in std::fs::read_dir(folder).unwrap().flatten().filter(|entry| entry.path().is_dir()) {
                let name = format!("{family}/{}", entry.file_name().to_string_lossy());
                assert!(names.contains(&name), "{name} is not in {names:?}");
            }
        }
    }

    #[test]
    fn components_import_nothing_but_the_policy_host() {
        for policy in ALL.iter().chain(AGENTS) {
            let decoded = wit_component::decode(policy.bytes).unwrap();
            let wit_component::DecodedWasm::Component(resolve, world) = decoded else {
                panic!("not a component")
            };
            for import in resolve.worlds[world].imports.keys() {
                let name = resolve.name_world_key(import);
                let offered =
                    if policy.family == "agents" { "pilothouse:host/log@" } else { "pilothouse:host/" };
                assert!(name.starts_with(offered), "{} imports {name}", policy.name);
            }
        }
    }
}
