//! The federation of orchestrators: look at peers, delegate a task, tell how one goes, tell everybody something.
//!
//! Invariant: a task submitted here is checked by the bounds that a peer's is checked by, so every peer can read it.

use axum::Json;
use axum::extract::{Path, State};
use pilothouse_core::id::{OrchestratorId, TaskId};
use pilothouse_core::orchestrator::{Broadcast, Delegation, Demands, Priority, Progress, Task};
use pilothouse_core::time::WallMs;
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use super::Answer;
use crate::orchestrator::convert::{self, DecodeError};
use crate::orchestrator::port::Submission;
use crate::rest::Plane;
use crate::rest::error::Problem;
use crate::rest::extract::{Body, Query, labels};
use crate::rest::views::{FederationView, SentView, TaskView, TasksView};
use crate::service::ServiceError;

impl From<DecodeError> for Problem {
    fn from(error: DecodeError) -> Self {
        let (field, problem) = match error {
            DecodeError::Field { field, problem } => (field.to_owned(), problem),
            other => ("body".to_owned(), other.to_string()),
        };
        ServiceError::Invalid { field, problem }.into()
    }
}

fn invalid(field: &str, problem: &dyn std::fmt::Display) -> Problem {
    ServiceError::Invalid { field: field.to_owned(), problem: problem.to_string() }.into()
}

fn task_id(text: &str) -> Result<TaskId, Problem> {
    TaskId::parse(text).map_err(|error| invalid("id", &error))
}

fn orchestrator(field: &str, text: Option<&str>) -> Result<Option<OrchestratorId>, Problem> {
    text.map(|text| OrchestratorId::parse(text).map_err(|error| invalid(field, &error))).transpose()
}

/// This orchestrator and its peers.
#[utoipa::path(get, path = "/api/v1/orchestrator/peers", responses((status = 200, body = FederationView)))]
pub(crate) async fn peers(State(plane): State<Plane>) -> Json<FederationView> {
    Json((&plane.federation().overview()).into())
}

/// A task for whom it suits.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DelegateBody {
    /// Names the task; the same name again is the same task.
    id: String,
    /// What kind of work it is, for people.
    #[serde(rename = "type", default = "default_kind")]
    kind: String,
    description: String,
    /// `low`, `medium` (default), `high` or `critical`.
    #[serde(default = "default_priority")]
    priority: String,
    /// Who takes it must have all of these.
    #[serde(default)]
    capabilities: Vec<String>,
    /// So many tokens are needed.
    tokens: Option<u64>,
    /// Only this peer, connected or not; without it the balancing policy chooses among members and connected peers.
    to: Option<String>,
    /// How long the whole task may take, ms.
    timeout_ms: Option<u64>,
    /// Travels with the task.
    #[serde(default)]
    context: Map<String, Value>,
}

fn default_kind() -> String {
    "custom".to_owned()
}

fn default_priority() -> String {
    Priority::Medium.name().to_owned()
}

impl DelegateBody {
    fn parse(self) -> Result<Submission, Problem> {
        let Self { id, kind, description, priority, capabilities, tokens, to, timeout_ms, context } = self;
        let named = Priority::ALL.into_iter().find(|known| known.name() == priority);
        let priority = named.ok_or_else(|| invalid("priority", &"use low, medium, high or critical"))?;
        let context = convert::data("context", &Value::Object(context))?;
        let to = orchestrator("to", to.as_deref())?;
        let here = OrchestratorId::parse("here").map_err(|error| invalid("to", &error))?;
        let task = Task {
            id: task_id(&id)?,
            kind: convert::word("type", kind)?,
            description: convert::text("description", description)?,
            priority,
            status: "pending".to_owned(),
            created_at: WallMs(0),
            updated_at: WallMs(0),
            other: "{}".into(),
        };
        let delegation = Delegation {
            from: here.clone(),
            to: here,
            task,
            priority,
            demands: Demands { capabilities: labels("capabilities", &capabilities)?, tokens },
            passed: Vec::new(),
            context: (&*context != "{}").then_some(context),
            timeout_ms,
            callback_id: None,
        };
        Ok(Submission { delegation, to })
    }
}

/// Delegates a task to a member or a peer.
#[utoipa::path(post, path = "/api/v1/orchestrator/tasks", request_body = DelegateBody, responses((status = 200, body = TaskView)))]
pub(crate) async fn delegate(State(plane): State<Plane>, Body(body): Body<DelegateBody>) -> Answer<TaskView> {
    Ok(Json((&plane.federation().delegate(body.parse()?).await?).into()))
}

/// Delegated tasks: those that are not finished, and the newest that are.
#[utoipa::path(get, path = "/api/v1/orchestrator/tasks", responses((status = 200, body = TasksView)))]
pub(crate) async fn tasks(State(plane): State<Plane>) -> Json<TasksView> {
    let tasks: Vec<_> = plane.federation().delegations().iter().map(TaskView::from).collect();
    Json(TasksView { count: tasks.len(), tasks })
}

/// Whose task it is.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct OriginQuery {
    /// The orchestrator that asked; left out = this one.
    origin: Option<String>,
}

/// One delegated task.
#[utoipa::path(get, path = "/api/v1/orchestrator/tasks/{id}", params(OriginQuery), responses((status = 200, body = TaskView)))]
pub(crate) async fn task(
    State(plane): State<Plane>,
    Path(id): Path<String>,
    Query(query): Query<OriginQuery>,
) -> Answer<TaskView> {
    let (task, origin) = (task_id(&id)?, orchestrator("origin", query.origin.as_deref())?);
    let found = plane.federation().delegation(origin, &task);
    let found = found.ok_or_else(|| ServiceError::NotFound { what: "task", name: task.to_string() })?;
    Ok(Json((&found).into()))
}

/// How a task goes that a member has.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProgressBody {
    /// `progress`, `completed` or `failed`.
    status: String,
    /// Percent, of `progress`.
    progress: Option<f32>,
    /// Of `completed`.
    result: Option<Value>,
    /// Of `failed`.
    error: Option<String>,
}

impl ProgressBody {
    fn parse(self) -> Result<Progress, Problem> {
        let Self { status, progress, result, error } = self;
        match (status.as_str(), progress, result, error) {
            ("progress", percent, None, None) => Ok(Progress::Running(convert::percent(percent)?)),
            ("completed", None, result, None) => {
                let result = result.map(|result| convert::data("result", &result)).transpose()?;
                Ok(Progress::Completed(result))
            }
            ("failed", None, None, error) => {
                Ok(Progress::Failed(convert::text("error", error.unwrap_or_default())?))
            }
            _ => {
                let problem =
                    "use progress (with `progress`), completed (with `result`) or failed (with `error`)";
                Err(invalid("status", &problem))
            }
        }
    }
}

/// Tells how a task goes that a member of this orchestrator has.
#[utoipa::path(post, path = "/api/v1/orchestrator/tasks/{id}/progress", params(OriginQuery), request_body = ProgressBody, responses((status = 200, body = TaskView)))]
pub(crate) async fn progress(
    State(plane): State<Plane>,
    Path(id): Path<String>,
    Query(query): Query<OriginQuery>,
    Body(body): Body<ProgressBody>,
) -> Answer<TaskView> {
    let origin = orchestrator("origin", query.origin.as_deref())?;
    let reported = plane.federation().report_task(origin, task_id(&id)?, body.parse()?);
    Ok(Json((&reported.await?).into()))
}

/// Something for every peer.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BroadcastBody {
    topic: String,
    #[serde(default)]
    data: Value,
    /// How long it is worth anything; peers that connect later do not get it.
    ttl_ms: Option<u64>,
}

/// Tells every peer; it waits for those that are not connected.
#[utoipa::path(post, path = "/api/v1/orchestrator/broadcasts", request_body = BroadcastBody, responses((status = 200, body = SentView)))]
pub(crate) async fn broadcast(
    State(plane): State<Plane>,
    Body(body): Body<BroadcastBody>,
) -> Answer<SentView> {
    let BroadcastBody { topic, data, ttl_ms } = body;
    let (topic, data) = (convert::word("topic", topic)?, convert::data("data", &data)?);
    Ok(Json((&plane.federation().tell_all(Broadcast { topic, data, ttl_ms })).into()))
}
