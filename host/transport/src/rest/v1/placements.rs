//! Places of workloads: one, many, and reservations.
//!
//! Invariant: what is answered as assigned is durable; a reservation is in force until its time is over or the server
//! restarts.

use std::fmt;

use axum::Json;
use axum::extract::{Path, State};
use pilothouse_core::id::Label;
use pilothouse_core::member::MemberKind;
use pilothouse_core::placement::Terms;
use pilothouse_core::placement::ledger::ReservationId;
use pilothouse_core::placement::relation::{Relation, Rule, Scope};
use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use super::Answer;
use super::members::ResourcesBody;
use super::requirement::RequirementBody;
use crate::rest::cluster::AssignmentView;
use crate::rest::error::Problem;
use crate::rest::extract::{Body, agent_name, optional_label};
use crate::rest::views::{BulkView, PlacedView, ReservationView, ReservationsView};
use crate::rest::{BULK_BYTES_MAX, Plane};
use crate::service::ServiceError;
use crate::service::placement::{BULK_MAX, Hold, PlaceQuery};

/// A workload that needs a home.
#[derive(Deserialize, Default, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct PlaceBody {
    /// Assign this workload to the chosen member; without it the place is only told (or reserved).
    pub(crate) workload: Option<String>,
    /// Hold the room for so long instead of assigning.
    pub(crate) reserve_ms: Option<u64>,
    /// Evict less important workloads if nobody has room; needs `workload`.
    pub(crate) preempt: bool,
    /// Slot or policy, if not the default one.
    pub(crate) strategy: Option<String>,
    pub(crate) needs: ResourcesBody,
    /// Higher is more important.
    pub(crate) priority: i32,
    /// Workloads that belong together; what `relations` are about.
    pub(crate) group: Option<String>,
    pub(crate) relations: Vec<RelationBody>,
    pub(crate) alternatives: u32,
    /// How many of them, in a bulk request; the names of more than one end in `-1`, `-2` and so on.
    pub(crate) count: Option<u32>,
    pub(crate) requirement: RequirementBody,
}

/// A rule about other workloads.
#[derive(Deserialize, Serialize, Clone, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RelationBody {
    pub(crate) rule: RuleBody,
    /// Of `together` and `apart`; its own group if left out.
    pub(crate) group: Option<String>,
    /// Of `spread`: largest difference between places; 1 if left out.
    pub(crate) max_skew: Option<u32>,
    pub(crate) scope: ScopeBody,
    /// Rather no place than a breach; otherwise it is dropped when nobody keeps it.
    #[serde(default = "yes")]
    pub(crate) hard: bool,
}

fn yes() -> bool {
    true
}

/// What a relation says.
#[derive(Deserialize, Serialize, Clone, Copy, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum RuleBody {
    /// Where a workload of the group is.
    Together,
    /// Where none of the group is.
    Apart,
    /// Evenly over places.
    Spread,
}

/// How far a relation reaches.
#[derive(Deserialize, Serialize, Clone, Copy, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ScopeBody {
    /// One member.
    Member,
    /// One zone.
    Zone,
    /// One region.
    Region,
}

fn invalid(field: &str, problem: &str) -> Problem {
    ServiceError::Invalid { field: field.to_owned(), problem: problem.to_owned() }.into()
}

impl RelationBody {
    fn parse(self, own: Option<&Label>) -> Result<Relation, Problem> {
        let Self { rule, group, max_skew, scope, hard } = self;
        let named = optional_label("relations.group", group.as_deref())?;
        let group = || {
            let missing = || invalid("relations.group", "name a group, or give the workload one");
            named.clone().or_else(|| own.cloned()).ok_or_else(missing)
        };
        let rule = match (rule, max_skew) {
            (RuleBody::Together, None) => Rule::Together(group()?),
            (RuleBody::Apart, None) => Rule::Apart(group()?),
            (RuleBody::Spread, Some(0)) => return Err(invalid("relations.max_skew", "use 1 or more")),
            (RuleBody::Spread, max_skew) if named.is_none() => {
                Rule::Spread { max_skew: max_skew.unwrap_or(1) }
            }
            (RuleBody::Spread, _) => {
                return Err(invalid("relations.group", "a spread is always of the workload's own group"));
            }
            (_, Some(_)) => return Err(invalid("relations.max_skew", "only a spread has one")),
        };
        let scope = match scope {
            ScopeBody::Member => Scope::Member,
            ScopeBody::Zone => Scope::Zone,
            ScopeBody::Region => Scope::Region,
        };
        Ok(Relation { rule, scope, hard })
    }
}

impl PlaceBody {
    pub(crate) fn parse(self) -> Result<PlaceQuery, Problem> {
        let Self { workload, reserve_ms, preempt, strategy, needs, priority, .. } = self;
        let group = optional_label("group", self.group.as_deref())?;
        let relations = self.relations.into_iter().map(|relation| relation.parse(group.as_ref()));
        let relations = relations.collect::<Result<_, _>>()?;
        let mut requirement = self.requirement.parse(Some(MemberKind::Cluster))?;
        requirement.needs = needs.into();
        let hold = match (workload, reserve_ms) {
            (None, None) => Hold::Nothing,
            (None, Some(ttl_ms)) => Hold::Reserve { ttl_ms },
            (Some(name), None) => Hold::Assign(agent_name(&name)?),
            (Some(_), Some(_)) => {
                return Err(invalid(
                    "reserve_ms",
                    "reserve first and confirm with the workload, or assign at once",
                ));
            }
        };
        let terms = Terms { requirement, priority, group, relations };
        Ok(PlaceQuery { terms, strategy, alternatives: self.alternatives, hold, preempt })
    }
}

/// Where does this workload live? Tells, reserves or assigns.
#[utoipa::path(post, path = "/api/v1/place", request_body = PlaceBody, responses((status = 200, body = PlacedView)))]
pub(crate) async fn place(State(plane): State<Plane>, Body(body): Body<PlaceBody>) -> Answer<PlacedView> {
    if body.count.is_some() {
        return Err(invalid("count", "this places one workload; use /api/v1/place/bulk"));
    }
    let placed = plane.place(body.parse()?).await?;
    Ok(Json((&placed).into()))
}

/// Many workloads that need homes.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BulkBody {
    #[serde(deserialize_with = "at_most_bulk")]
    pub(crate) workloads: Vec<PlaceBody>,
    /// All of them or none, in one transaction (at most 128 named ones).
    #[serde(default)]
    pub(crate) whole: bool,
}

/// The list, read no further than one beyond [`BULK_MAX`]: a small body can hold very many empty items.
fn at_most_bulk<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<PlaceBody>, D::Error> {
    struct List;
    impl<'de> Visitor<'de> for List {
        type Value = Vec<PlaceBody>;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(formatter, "a list of at most {BULK_MAX} workloads; send more in parts")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
            let mut list = Vec::new();
            while let Some(item) = items.next_element()? {
                list.push(item);
                if list.len() > BULK_MAX {
                    return Err(A::Error::invalid_length(list.len(), &self));
                }
            }
            Ok(list)
        }
    }
    from.deserialize_seq(List)
}

impl PlaceBody {
    /// As many queries as `count` says.
    fn parse_many(self, queries: &mut Vec<PlaceQuery>) -> Result<(), Problem> {
        let count = self.count.unwrap_or(1);
        if queries.len() + count as usize > BULK_MAX {
            return Err(invalid("workloads", &format!("more than {BULK_MAX} at once; use parts")));
        }
        let query = self.parse()?;
        for number in 1..=count {
            let hold = match &query.hold {
                Hold::Assign(name) if count > 1 => Hold::Assign(agent_name(&format!("{name}-{number}"))?),
                hold => hold.clone(),
            };
            queries.push(PlaceQuery { hold, ..query.clone() });
        }
        Ok(())
    }
}

impl BulkBody {
    /// One query per workload, and the names that they get, in the same order.
    pub(crate) fn parse(self) -> Result<(Vec<PlaceQuery>, Vec<Option<String>>), Problem> {
        let mut queries = Vec::new();
        for item in self.workloads {
            item.parse_many(&mut queries)?;
        }
        let name = |query: &PlaceQuery| match &query.hold {
            Hold::Assign(name) => Some(name.to_string()),
            Hold::Nothing | Hold::Reserve { .. } => None,
        };
        let names = queries.iter().map(name).collect();
        Ok((queries, names))
    }
}

/// Places many workloads: the most important and largest first, answered in the order asked.
#[utoipa::path(post, path = "/api/v1/place/bulk", request_body = BulkBody, responses((status = 200, body = BulkView)))]
pub(crate) async fn place_bulk(
    State(plane): State<Plane>,
    Body(body): Body<BulkBody, BULK_BYTES_MAX>,
) -> Answer<BulkView> {
    let whole = body.whole;
    let (queries, names) = body.parse()?;
    let places = plane.place_all(queries, whole).await?;
    Ok(Json(BulkView::of(names, &places)))
}

/// Reservations in force.
#[utoipa::path(get, path = "/api/v1/reservations", responses((status = 200, body = ReservationsView)))]
pub(crate) async fn reservations(State(plane): State<Plane>) -> Json<ReservationsView> {
    let reservations: Vec<_> = plane.reservations().iter().map(ReservationView::from).collect();
    Json(ReservationsView { count: reservations.len(), reservations })
}

/// Which workload takes a reservation.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConfirmBody {
    workload: String,
}

/// Turns a reservation into an assignment.
#[utoipa::path(post, path = "/api/v1/reservations/{id}/confirm", request_body = ConfirmBody, responses((status = 200, body = AssignmentView)))]
pub(crate) async fn confirm(
    State(plane): State<Plane>,
    Path(id): Path<String>,
    Body(body): Body<ConfirmBody>,
) -> Answer<AssignmentView> {
    let assignment = plane.confirm(reservation(&id)?, agent_name(&body.workload)?).await?;
    Ok(Json(AssignmentView::of(&plane, &assignment)))
}

/// Gives a reservation's room back.
#[utoipa::path(delete, path = "/api/v1/reservations/{id}", responses((status = 200, body = ReservationView)))]
pub(crate) async fn release(State(plane): State<Plane>, Path(id): Path<String>) -> Answer<ReservationView> {
    let released = plane.release(reservation(&id)?)?;
    Ok(Json((&released).into()))
}

pub(crate) fn reservation(id: &str) -> Result<ReservationId, Problem> {
    let number = id.parse().map_err(|_| {
        let name = id.escape_debug().to_string();
        ServiceError::NotFound { what: "reservation", name }
    });
    Ok(ReservationId(number?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bulk_request_is_read_up_to_its_bound() {
        let body = |count: usize| format!(r#"{{"workloads":[{}]}}"#, vec!["{}"; count].join(","));
        let read = |count| serde_json::from_str::<BulkBody>(&body(count));
        assert_eq!(read(BULK_MAX).unwrap().workloads.len(), BULK_MAX);
        let refused = read(BULK_MAX + 1).err().unwrap().to_string();
        assert!(refused.contains("at most 10000 workloads; send more in parts"), "{refused}");
    }
}
