//! The four terms of the sum, without dimension.

use pilothouse_sdk::{Class, Column, Fleet, Settings};

/// Utilisation from which the load term goes on as a straight line, so that it stays finite.
const UTILISATION_MAX: f32 = 0.99;
/// An unknown round-trip time or price counts as this many times the worst that is known.
const UNKNOWN: f32 = 2.0;

/// How much each term counts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Weights {
    latency: f32,
    cost: f32,
    pub(crate) load: f32,
    loss: f32,
}

impl Weights {
    pub(crate) fn of(settings: &mut Settings) -> Self {
        let mut weight =
            |name: &str, default| settings.number(&format!("weights.{name}"), default, 0.0..=100.0) as f32;
        let weights = Self {
            latency: weight("latency", 1.0),
            cost: weight("cost", 0.3),
            load: weight("load", 0.2),
            loss: weight("loss", 10.0),
        };
        if weights.latency + weights.cost + weights.load + weights.loss <= 0.0 {
            settings.problem("weights", "at least one weight must be above 0");
        }
        weights
    }

    /// Urgent flows pay for latency, scavengers for nothing they need not: factor 2 at class 0, 1/2 at class 7.
    pub(crate) fn for_traffic(self, class: u8) -> Self {
        let urgency = (1.0 - 2.0 * f32::from(class.min(7)) / 7.0).exp2();
        Self { latency: self.latency * urgency, cost: self.cost / urgency, ..self }
    }
}

/// Convex in the utilisation, 0 at 0, steep near 1.
pub(crate) fn crowding(utilisation: f32) -> f32 {
    let bounded = utilisation.clamp(0.0, UTILISATION_MAX);
    let excess = utilisation.max(UTILISATION_MAX) - UTILISATION_MAX;
    let slope = bounded * (2.0 - bounded) / ((1.0 - bounded) * (1.0 - bounded));
    bounded * bounded / (1.0 - bounded) + excess * slope
}

/// What one decision measures its terms against.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    weights: Weights,
    goal_ms: f32,
    mean_price: f32,
    unknown_rtt_ms: f32,
    unknown_price: f32,
}

impl Terms {
    pub(crate) fn new(fleet: &Fleet, class: &Class, weights: Weights, goal_ms: f32) -> Self {
        let rows = class.rows();
        // `max` takes the other number if one is NaN.
        let worst = |value: &dyn Fn(u32) -> f32| rows.iter().map(|&row| value(row)).fold(0.0, f32::max);
        let price = |row: u32| fleet.f32(Column::CostPerHour, row);
        let (sum, count) = rows
            .iter()
            .map(|&row| price(row))
            .filter(|price| !price.is_nan())
            .fold((0.0, 0.0), |(sum, count), price| (sum + price, count + 1.0));
        Self {
            weights,
            goal_ms,
            mean_price: if sum > 0.0 { sum / count } else { 1.0 },
            unknown_rtt_ms: UNKNOWN * worst(&|row| class.rtt_ms(row)),
            unknown_price: UNKNOWN * worst(&price),
        }
    }

    /// Latency, price and loss of a row; what does not depend on what the flow adds.
    pub(crate) fn fixed(&self, fleet: &Fleet, class: &Class, row: u32) -> f32 {
        let or = |value: f32, unknown: f32| if value.is_nan() { unknown } else { value.max(0.0) };
        let rtt_ms = or(class.rtt_ms(row), self.unknown_rtt_ms);
        let price = or(fleet.f32(Column::CostPerHour, row), self.unknown_price);
        // A failure has to be shown: were silence as bad, one failing member would be better than many silent ones.
        let loss = or(fleet.f32(Column::ErrorRate, row), 0.0);
        self.weights.latency * rtt_ms / self.goal_ms
            + self.weights.cost * price / self.mean_price
            + self.weights.loss * loss
    }
}
