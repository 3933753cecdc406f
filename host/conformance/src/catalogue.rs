//! Every check: its id, whom it concerns, how grave it is, why it exists and what to do when it fails.
//!
//! Order matters: a check that names a fault comes before those that would only stumble over it.

use pilothouse_core::policy::Family;

use crate::checks::{
    bounds, contract, correctness, determinism, leak, properties, robustness, settings, state,
};
use crate::trial::{Checked, Trial};

/// How grave a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The contract demands it: a policy that fails does not conform.
    Must,
    /// Good behaviour: a finding is a warning.
    Should,
}

impl Severity {
    /// The name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Must => "must",
            Self::Should => "should",
        }
    }
}

/// What a group of checks is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Group {
    /// The first part of the ids in it.
    pub name: &'static str,
    /// In a sentence.
    pub about: &'static str,
}

/// Every group, in order.
pub(crate) const GROUPS: &[Group] = &[
    Group {
        name: "contract",
        about: "The component has the shape that `wit/` says, and says the truth about itself.",
    },
    Group { name: "correctness", about: "Answers are eligible, well formed and consistent with each other." },
    Group { name: "settings", about: "Settings are taken or refused in words, never by breaking." },
    Group { name: "bounds", about: "A decision fits its budget in fleets of 10, 1,000 and 10,000 members." },
    Group {
        name: "determinism",
        about: "The same input gives the same answer, wherever and whenever it is asked.",
    },
    Group { name: "robustness", about: "Extreme and changing fleets are answered like any other." },
    Group {
        name: "state",
        about: "What must survive an instance lives in the host and is understood by the next.",
    },
    Group { name: "leak", about: "An instance does not grow with the number of calls." },
    Group { name: "property", about: "What the policy declares of its behaviour is true." },
];

/// One check.
#[derive(Clone, Copy)]
pub struct Check {
    /// `group/name`
    pub id: &'static str,
    /// Families that it concerns.
    pub families: &'static [Family],
    /// How grave a finding is.
    pub severity: Severity,
    /// What must hold.
    pub what: &'static str,
    /// Why that matters.
    pub why: &'static str,
    /// What to do when it fails.
    pub fix: &'static str,
    /// Whether faults that only its inputs provoke belong to it.
    pub(crate) scenario: bool,
    pub(crate) run: fn(&mut Trial<'_>) -> Checked,
}

impl std::fmt::Debug for Check {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Check").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Check {
    /// The group it is in.
    #[must_use]
    pub fn group(&self) -> &'static str {
        self.id.split_once('/').map_or(self.id, |(group, _)| group)
    }
}

/// The check with this id.
#[must_use]
pub fn find(id: &str) -> Option<&'static Check> {
    CHECKS.iter().find(|check| check.id == id)
}

const ALL: &[Family] = Family::ALL;
const SCALING: &[Family] = &[Family::Scaling];
const ROUTING: &[Family] = &[Family::Routing];
const PLACEMENT: &[Family] = &[Family::Placement];
const BALANCING: &[Family] = &[Family::Balancing];
const RANKING: &[Family] = &[Family::Balancing, Family::Placement];
const OF_MEMBERS: &[Family] = &[Family::Balancing, Family::Placement, Family::Routing];

macro_rules! checks {
    ($($severity:ident $id:literal $families:ident $scenario:ident $run:path, $what:literal, $why:literal, $fix:literal;)*) => {
        /// Every check, in the order in which they run.
        pub static CHECKS: &[Check] = &[$(Check {
            id: $id,
            families: $families,
            severity: Severity::$severity,
            what: $what,
            why: $why,
            fix: $fix,
            scenario: checks!(@$scenario),
            run: $run,
        }),*];
    };
    (@named) => { false };
    (@scenario) => { true };
}

checks! {
    Must "contract/imports" ALL named contract::imports,
        "it imports interfaces of pilothouse:host only (or wasi: ones, where the slot allows it)",
        "whatever else it wants, this host does not have, and the policy would be refused",
        "remove what needs the import; without it rebuild for wasm32-unknown-unknown";
    Should "contract/no-wasi" ALL named contract::no_wasi,
        "it imports nothing of WASI",
        "such a component runs only in slots that allow it, with an empty context",
        "build for a target without WASI, or tell operators that slots need the permission";
    Must "contract/version" ALL named contract::passed_at_load,
        "it is built for a version of its family that this host has",
        "another version may have other types under the same names",
        "rebuild against wit/ 0.1 of this host, or use a host that has that version";
    Must "contract/exports" ALL named contract::exports,
        "it exports lifecycle and every function of its family, with their types",
        "a function that is missing is noticed only when the host wants to call it",
        "export the whole world `policy` of the family's package";
    Must "contract/component" ALL named contract::passed_at_load,
        "it is a component within the bounds of size and shape, and compiles in time",
        "compiling is the one step that a guest can make slow",
        "componentize the module; split large functions; see the text of the refusal";
    Must "contract/columns" ALL named contract::columns,
        "its columns are known and named once",
        "the host refuses columns that it does not have, and one named twice shifts all after it",
        "use the names in host/core/src/fleet/column.rs (`pilothouse policy inspect` lists them)";
    Must "contract/schema" ALL named contract::schema,
        "its settings' schema is JSON Schema of an object, or empty",
        "operators and the host check settings against it",
        "write a schema with `\"type\": \"object\"`";
    Must "contract/semver" ALL named contract::semver,
        "its version is a semantic version",
        "of several revisions of a name the host takes the newest",
        "use three numbers with dots, for example 1.2.0";
    Should "contract/summary" ALL named contract::summary,
        "it says in one line what it does",
        "operators choose from a list of summaries",
        "fill `summary` in";
    Must "contract/constant" ALL named contract::constant,
        "it describes itself the same way whenever it is asked",
        "the host asks once and believes it",
        "return constants from `describe`";
    Must "contract/properties" ALL named contract::properties,
        "the properties that it declares are known and of its family",
        "a promise that nobody can check is none",
        "use the names in host/docs/conformance.md under `x-pilothouse-properties`";
    Must "contract/start" ALL named contract::start,
        "it starts with its default settings",
        "a policy must work before anybody has tuned it",
        "give every setting a default, and let `configure` accept an empty list";

    Must "correctness/no-trap" ALL named correctness::no_trap,
        "ordinary requests are answered without a trap",
        "a trap costs the instance and sends the decision down the fallback chain",
        "look for a panic, an index out of bounds, a division by zero or a deep recursion";
    Must "correctness/answer" ALL named correctness::answer,
        "answers have the types of the contract",
        "lists outside of memory, text that is not UTF-8 and unknown cases are faults",
        "let the language's own bindings write the answers";
    Must "correctness/no-failure" ALL named correctness::no_failure,
        "ordinary requests do not end in the refusal `other`",
        "`other` counts as a fault; a member that does not suit is `nothing-suits`",
        "answer, or refuse with `nothing-suits` and a reason";
    Must "correctness/eligible" OF_MEMBERS named correctness::eligible,
        "every row in an answer is eligible, even if better ones are not",
        "a policy may narrow hard constraints and never widen them",
        "choose from the bits of `class-update.eligible` only";
    Must "correctness/score" ALL named correctness::score,
        "scores and confidences are numbers",
        "NaN has no order, so that no candidate would be the best",
        "handle unknown readings (NaN) before calculating with them";
    Should "correctness/decides" ALL named correctness::decides,
        "it answers at least one of many requests on a healthy fleet",
        "a policy that always refuses leaves all work to the fallback",
        "refuse only if no member suits";
    Must "correctness/rank-limit" RANKING named correctness::rank_limit,
        "a ranking has from one candidate to as many as were asked for",
        "callers reserve room for the limit that they give",
        "cut the ranking at `limit`";
    Must "correctness/rank-distinct" RANKING named correctness::rank_distinct,
        "no row is in a ranking twice",
        "an alternative that is the first choice again is no alternative",
        "take every row once";
    Must "correctness/rank-order" RANKING named correctness::rank_order,
        "candidates come in descending order of score",
        "callers take them in order",
        "sort by score, highest first";
    Must "correctness/rank-first" RANKING named correctness::rank_first,
        "the first of a ranking is what a single decision takes in the same state",
        "explanations and alternatives must belong to the decision that they explain",
        "derive both from the same code";
    Must "correctness/batch-count" RANKING named correctness::batch_count,
        "a batch has one answer per request",
        "answers are matched with requests by their place",
        "return a list as long as the requests";
    Must "correctness/batch-same" BALANCING named correctness::batch_same,
        "a batch answers what single decisions one after the other would",
        "replay and busy servers use batches in place of single calls",
        "derive the batch from `choose`";
    Must "correctness/route-shape" ROUTING named correctness::route_shape,
        "a route has 1 to 16 targets, at most 8 fallbacks and a weight above 0",
        "more is not kept, and without a weight nobody gets the flow",
        "cut the lists; give a target a weight";
    Must "correctness/route-distinct" ROUTING named correctness::route_distinct,
        "no row is a target or a fallback twice",
        "shares of one member would be counted apart",
        "add up the weights of a row";
    Should "correctness/reason" ALL named correctness::reason,
        "every reason is an index into `description.reasons`",
        "operators would read `unknown reason`",
        "list a text for every code that is used";
    Should "correctness/factors" RANKING named correctness::factors,
        "a candidate has as many factors as `description.factors` names, and they are numbers",
        "parts of a score are shown by the place of their name",
        "fill all factors, in order";
    Must "correctness/moves" PLACEMENT named correctness::moves,
        "suggested moves are of residents, to eligible rows, at most as many as asked for",
        "the host would have to guess what was meant",
        "take `workload` from the residents given, and cut at `limit`; or say `unsupported`";
    Must "correctness/victims" PLACEMENT named correctness::victims,
        "victims are residents of the row, each once, and less important than the request",
        "the host never preempts equal or higher priority",
        "choose among the residents of `row` with a lower priority; or say `unsupported`";

    Must "settings/edges" ALL scenario settings::edges,
        "values at the edges of the schema are taken, or refused as a problem, and then it decides",
        "operators will try them",
        "check settings against each other in `configure`, and compute with the extremes";
    Must "settings/path" ALL named settings::path,
        "wrong values are refused with the path of the setting",
        "an operator must find the line",
        "give every problem its path, or state the type in the schema";
    Should "settings/unknown" ALL named settings::unknown,
        "settings that do not exist are refused",
        "a typing error would silently leave the default in force",
        "add `\"additionalProperties\": false` to the schema";

    Must "bounds/fuel" ALL named bounds::fuel,
        "a decision ends within its fuel at 10, 1,000 and 10,000 members",
        "what does not end is cut off, and the fallback answers",
        "look for work that grows with the square of members, and for loops without an end";
    Must "bounds/memory" ALL named bounds::memory,
        "an instance stays within its memory",
        "what grows beyond is refused, which mostly ends in a trap",
        "keep columns once; bound what is cached";
    Must "bounds/output" ALL named bounds::output,
        "answers stay below a megabyte",
        "copying large answers is work of the host that no fuel pays for",
        "return codes and numbers instead of text";
    Should "bounds/headroom" ALL named bounds::headroom,
        "a decision takes at most half of its fuel at 10,000 members",
        "members with more columns, labels or classes cost more than those of a test",
        "index, sample, or keep what was computed until the fleet changes";
    Should "bounds/log" ALL named bounds::log,
        "it logs less than the host keeps",
        "lines beyond 32 or 8 KiB a call are dropped",
        "log once, at `warn`, what an operator can change";
    Must "bounds/state" ALL named bounds::state,
        "it opens its named state once, within the quota",
        "names that grow with traffic use the slot's quota up",
        "open handles in `configure`; use a pin table for keys";

    Must "determinism/repeat" ALL named determinism::repeat,
        "two fresh instances answer the same series of requests alike",
        "decisions are recorded and replayed",
        "take randomness from `seed` and time from `now-ms` alone";
    Must "determinism/instances" ALL named determinism::instances,
        "two instances that share a slot's state answer like one",
        "requests are spread over instances, and an instance may go between any two calls",
        "keep what must survive a call in `state`, never in the instance";
    Must "determinism/reload" ALL named determinism::reload,
        "loaded and compiled again it answers alike",
        "a restart must not change decisions",
        "take randomness from `seed` and time from `now-ms` alone";
    Must "determinism/nan" ALL named determinism::nan,
        "unknown readings count alike whatever the bits of their NaN are",
        "machines make different NaNs",
        "never look at the bits of a float that may be NaN";

    Must "robustness/zero" ALL scenario robustness::zero,
        "it answers when every reading, weight and amount is 0",
        "a fleet that has just started reports nothing but zeros",
        "guard divisions";
    Must "robustness/nan" ALL scenario robustness::nan,
        "it answers when nothing is known (NaN)",
        "members that have not reported yet are the rule after a restart",
        "treat NaN as unknown: rank it last, or leave the reading out";
    Must "robustness/infinite" ALL scenario robustness::infinite,
        "it answers when readings are infinite",
        "a broken sensor must not break decisions",
        "clamp readings before calculating";
    Must "robustness/huge" ALL scenario robustness::huge,
        "it answers when counts, amounts and weights are as large as can be",
        "sums overflow",
        "add with saturation, or in 64 bits";
    Must "robustness/tiny" ALL scenario robustness::tiny,
        "it answers when readings and weights are the smallest above 0",
        "quotients of tiny numbers are infinite",
        "compare before dividing";
    Must "robustness/duplicates" ALL scenario robustness::duplicates,
        "it answers when all members (or samples) are the same",
        "ties and equal keys are ordinary in even fleets",
        "break ties by the seed; allow equal keys in indexes";
    Must "robustness/single" ALL scenario robustness::single,
        "it answers when one member (or sample) is all there is",
        "draining the others must work",
        "do not draw two where there is one";
    Must "robustness/none" ALL scenario robustness::none,
        "without a member (or sample) it refuses or holds, and does not break",
        "the last member may go between two calls",
        "refuse with `nothing-suits`";
    Must "robustness/change" ALL scenario robustness::change,
        "after members came or went it answers from the new fleet",
        "what was cached for the old one names rows that are gone",
        "tie caches to the epoch of the fleet and the version of the class";
    Must "robustness/classes" OF_MEMBERS scenario robustness::classes,
        "with many classes alive every answer belongs to the class that was asked",
        "one instance serves them all",
        "key caches by the class";

    Must "state/hand-over" ALL named state::hand_over,
        "a new instance on the stored state goes on where the old one stopped",
        "state is stored, restored and handed to the next revision",
        "read `state` in `configure`, and do not reset it there";
    Must "state/foreign" ALL scenario state::foreign,
        "values in its state that it did not write do not break it",
        "another version, or another policy of the slot, may have used the same names",
        "check length and range of what is read from a cell";

    Must "leak/memory" ALL named leak::memory,
        "memory of an instance stays flat over a million calls",
        "an instance serves up to a million calls before it is replaced",
        "bound every cache; free what a call allocates";

    Must "property/fair" BALANCING named properties::fair,
        "declared `fair`: counts differ by one at most",
        "operators choose it for that",
        "walk members by a counter in `state`";
    Must "property/proportional" BALANCING named properties::proportional,
        "declared `proportional`: counts follow the weights within 5 %",
        "operators set weights to be followed",
        "draw or walk by weight";
    Must "property/sticky" BALANCING named properties::sticky,
        "declared `sticky`: a session stays, and losing a member moves only its sessions",
        "sessions hold state",
        "hash the member's identity, not its row; pin what was chosen";
    Must "property/prefers-less-loaded" BALANCING named properties::prefers_less_loaded,
        "declared `prefers-less-loaded`: of two members the less loaded is chosen",
        "operators choose it for that",
        "compare loads the right way round";
    Must "property/prefers-cheaper" OF_MEMBERS named properties::prefers_cheaper,
        "declared `prefers-cheaper`: of two members the cheaper is chosen",
        "operators choose it for that",
        "compare prices the right way round";
    Must "property/prefers-nearer" ROUTING named properties::prefers_nearer,
        "declared `prefers-nearer`: of two members the nearer has the larger share",
        "operators choose it for that",
        "compare round-trip times the right way round";
    Must "property/prefers-fuller" PLACEMENT named properties::prefers_fuller,
        "declared `prefers-fuller`: of two members with room the fuller is chosen",
        "operators choose it for that",
        "compare free room the right way round";
    Must "property/prefers-emptier" PLACEMENT named properties::prefers_emptier,
        "declared `prefers-emptier`: of two members the emptier is chosen",
        "operators choose it for that",
        "compare free room the right way round";
    Must "property/limits" SCALING named properties::limits,
        "declared `limits`: counts stay within the group's limits",
        "the host clamps, but forecasts and reasons would speak of another count",
        "clamp the answer to `min-replicas` and `max-replicas`";
    Must "property/cooldown" SCALING named properties::cooldown,
        "declared `cooldown`: right after a change the count stays",
        "groups that swing cost starts and stops",
        "answer `replicas` while `now-ms` is close to `last-change-ms`";
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::property::Property;

    #[test]
    fn ids_are_unique_and_of_a_group() {
        for (index, check) in CHECKS.iter().enumerate() {
            assert!(CHECKS[..index].iter().all(|other| other.id != check.id), "{}", check.id);
            assert!(GROUPS.iter().any(|group| group.name == check.group()), "{}", check.id);
        }
    }

    #[test]
    fn every_property_has_a_check_for_its_families() {
        for property in Property::ALL {
            let check = find(&format!("property/{}", property.name)).expect(property.name);
            assert!(property.families.iter().all(|family| check.families.contains(family)));
        }
    }
}
