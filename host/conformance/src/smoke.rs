//! The part of the kit that a revision must pass before it serves: the same questions and fleets, only fewer.
//!
//! Invariant: it asks for fewer than a hundred answers, takes milliseconds, and finds only what the contract forbids.

use pilothouse_core::policy::Policy;

use crate::ask::{self, Input};
use crate::trial::Trouble;
use crate::world::{Extreme, Maker, World};

/// Something that a policy did wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What it was asked for.
    pub check: &'static str,
    /// What happened.
    pub detail: String,
}

/// The checks that a revision must pass before it serves.
#[must_use]
pub fn smoke(policy: &dyn Policy) -> Vec<Finding> {
    let mut maker = Maker::default();
    let mut worlds: Vec<World> = [1, 3, 64, 65].map(|members| maker.ordinary(members)).into();
    worlds.push(maker.tempting(20));
    worlds.extend(
        [Extreme::Zero, Extreme::Nan, Extreme::Huge, Extreme::Duplicates]
            .map(|extreme| maker.extreme(extreme, 12)),
    );
    let mut findings = Vec::new();
    for (world, index) in worlds.iter().zip(0..) {
        let inputs = [Input::nth(7, 3 * index), Input::nth(7, 3 * index + 1)];
        findings.extend(ask(policy, world, &inputs).err());
    }
    findings
}

fn ask(policy: &dyn Policy, world: &World, inputs: &[Input; 2]) -> Result<(), Finding> {
    let [first, second] = inputs;
    for input in inputs {
        ask::decide(policy, world, input).map_err(|trouble| finding("decide", &trouble))?;
    }
    ask::rank(policy, world, first, 3).map_err(|trouble| finding("rank", &trouble))?;
    ask::many(policy, world, &[first.clone(), second.clone(), first.clone()])
        .map_err(|trouble| finding("many", &trouble))?;
    Ok(())
}

fn finding(check: &'static str, trouble: &Trouble) -> Finding {
    let detail = match trouble {
        Trouble::Fault { fault, input, .. } => format!("with {input}: {fault}"),
        other => format!("{other:?}"),
    };
    Finding { check, detail }
}
