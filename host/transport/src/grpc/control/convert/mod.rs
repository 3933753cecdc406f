//! Messages of `pilothouse.v1` and what they mean, one module per subject, both directions beside each other.
//!
//! message -> body of the REST twin, whose `parse` checks it -> core; core -> message
//!
//! Invariant: nothing is checked here, so nothing can be checked differently than by REST; messages and core's values are
//! taken apart field by field, so a new field cannot be forgotten. What is unknown is absent, never 0; in protobuf an
//! empty text means "not given".

pub(super) mod flow;
pub(super) mod group;
pub(super) mod place;
pub(super) mod rebalance;
pub(super) mod region;
pub(super) mod round_trip;
pub(super) mod terms;
#[cfg(test)]
mod tests;

fn given(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

fn number(value: f32) -> Option<f32> {
    value.is_finite().then_some(value)
}

fn text(value: Option<&impl ToString>) -> String {
    value.map(ToString::to_string).unwrap_or_default()
}

fn texts<'a, T: ToString + 'a>(values: impl IntoIterator<Item = &'a T>) -> Vec<String> {
    values.into_iter().map(ToString::to_string).collect()
}

/// Parts of a score by name; those that are no number are left out.
fn factors(parts: &[(String, f32)]) -> impl Iterator<Item = (String, f32)> {
    parts.iter().filter_map(|(name, value)| Some((name.clone(), number(*value)?)))
}
