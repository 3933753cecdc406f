//! What a conformance check wants to know of a component beside its decisions.

use std::sync::Arc;

use pilothouse_core::policy::fault::Fault;
use pilothouse_core::policy::{Description, Family};
use wasmtime::Store;
use wasmtime::component::Instance;

use crate::bindings::host::Base;
use crate::bindings::{Route, RoutingRequest, ScalingRequest, ScalingTarget};
use crate::component::{LoadedPolicy, begin, new_store};
use crate::convert;
use crate::faults::classify;
use crate::imports::SeatData;
use crate::limits::Budget;
use crate::seat::{Answers, Finder};

impl LoadedPolicy {
    /// What it says of itself when an instance is asked once more, after it was configured.
    ///
    /// # Errors
    /// The fault.
    pub fn describe_again(&self) -> Result<Description, Fault> {
        let (mut store, instance, budget) = self.used()?;
        let mut again = || -> wasmtime::Result<_> {
            let base: Base = self.indices.load(&mut store, &instance)?;
            let lifecycle = base.pilothouse_host_lifecycle();
            lifecycle.call_describe(&mut store)?;
            begin(&mut store, &budget);
            // Whether it takes the empty settings is another question.
            let _ = lifecycle.call_configure(&mut store, &[])?;
            begin(&mut store, &budget);
            lifecycle.call_describe(&mut store)
        };
        again().map(convert::description).map_err(|error| classify(&error, false))
    }

    /// Functions of its family that the contract has and the host does not call: which of them are missing, and how.
    ///
    /// # Errors
    /// The fault, if it cannot be instantiated.
    pub fn missing_functions(&self) -> Result<Vec<String>, Fault> {
        let (mut store, instance, _) = self.used()?;
        let mut finder = Finder { policy: self, store: &mut store, instance: &instance };
        let found = match self.family() {
            Family::Routing => finder.find::<(Vec<RoutingRequest>,), Answers<Route>>("route-many").map(drop),
            Family::Scaling => {
                finder.find::<(Vec<ScalingRequest>,), Answers<ScalingTarget>>("scale-many").map(drop)
            }
            // All their functions were looked up when it was loaded.
            Family::Balancing | Family::Placement => Ok(()),
        };
        Ok(found.err().map(|error| format!("{error:#}")).into_iter().collect())
    }

    fn used(&self) -> Result<(Store<SeatData>, Instance, Budget), Fault> {
        let budget = Budget::of(self.family()).upkeep();
        let data = SeatData::new(&budget, Arc::default(), 0, self.digest.short().into());
        let mut store = new_store(self.pre.engine(), data, &budget);
        match self.pre.instantiate(&mut store) {
            Ok(instance) => Ok((store, instance, budget)),
            Err(error) => Err(classify(&error, false)),
        }
    }
}
