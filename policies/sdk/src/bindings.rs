//! Generated from `wit/`; authors use the modules beside this one.
//!
//! The lifecycle is bound once, and each family's decision as a world of its own: the macros that generated code
//! exports live at the crate's root, so one name may exist only once. A component that exports both is a
//! complete policy; the tools merge the worlds.
#![allow(
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    clippy::all,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::allow_attributes_without_reason,
    unsafe_code,
    reason = "generated"
)]

pub mod base {
    wit_bindgen::generate!({
        path: "../../wit/host",
        world: "pilothouse:host/base",
        pub_export_macro: true,
        export_macro_name: "export_lifecycle",
        generate_unused_types: true,
    });
}

macro_rules! family {
    ($name:ident, $folder:literal, $inline:literal, $world:literal, $export:literal) => {
        pub mod $name {
            wit_bindgen::generate!({
                path: ["../../wit/host", $folder],
                inline: $inline,
                world: $world,
                pub_export_macro: true,
                export_macro_name: $export,
                with: { "pilothouse:host/types@0.1.0": crate::bindings::base::pilothouse::host::types },
            });
        }
    };
}

family!(
    balancing,
    "../../wit/balancing",
    "package pilothouse:sdk-balancing; world balancing-decision { export pilothouse:balancing/balancing@0.1.0; }",
    "pilothouse:sdk-balancing/balancing-decision",
    "export_balancing_decision"
);
family!(
    placement,
    "../../wit/placement",
    "package pilothouse:sdk-placement; world placement-decision { export pilothouse:placement/placement@0.1.0; }",
    "pilothouse:sdk-placement/placement-decision",
    "export_placement_decision"
);
family!(
    routing,
    "../../wit/routing",
    "package pilothouse:sdk-routing; world routing-decision { export pilothouse:routing/routing@0.1.0; }",
    "pilothouse:sdk-routing/routing-decision",
    "export_routing_decision"
);
family!(
    scaling,
    "../../wit/scaling",
    "package pilothouse:sdk-scaling; world scaling-decision { export pilothouse:scaling/scaling@0.1.0; }",
    "pilothouse:sdk-scaling/scaling-decision",
    "export_scaling_decision"
);

/// A world of its own, log included: agents export no lifecycle.
pub mod agent {
    wit_bindgen::generate!({
        path: ["../../wit/host", "../../wit/agent"],
        world: "pilothouse:agent/component",
        pub_export_macro: true,
        export_macro_name: "export_agent_interface",
        generate_all,
    });
}
