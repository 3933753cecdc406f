//! A policy's own source compiled for this machine, on the same columns: what Wasm is measured against.

use pilothouse_core::eligible::EligibleClass;
use pilothouse_core::fleet::Fleet;
use pilothouse_core::fleet::column::Column;
use pilothouse_sdk::About;
use pilothouse_sdk::instance::{Instance, Parts};

use crate::world::World;

/// An instance with default settings that has seen the world.
pub fn instance<P>(
    about: &About,
    make: impl FnOnce(&mut pilothouse_sdk::Settings) -> P,
    world: &World,
) -> Instance<P> {
    let mut instance = Instance::default();
    instance.configure(about, Vec::new(), make).expect("the defaults are valid");
    sync(&mut instance, about, &world.fleet, &world.class, 0);
    instance
}

/// Brings an instance that has seen the snapshot of epoch `seen` up to date.
pub fn sync<P>(instance: &mut Instance<P>, about: &About, fleet: &Fleet, class: &EligibleClass, seen: u64) {
    for (index, block) in (0..).zip(&fleet.blocks).filter(|(_, block)| block.epoch > seen) {
        let columns = about.columns.iter().filter_map(|column| Column::parse(column.name()));
        let words = columns.flat_map(|column| block.column(column).iter().copied()).collect();
        instance.sync_block(fleet.epoch, fleet.rows, index, words);
    }
    instance.sync_class(Parts {
        id: class.id,
        eligible: class.eligible.to_vec(),
        required: class.required_capabilities.to_vec(),
        ..Parts::default()
    });
}
