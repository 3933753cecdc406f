"""The lifecycle that every family exports, over one policy."""

import project_about
from componentize_py_types import Err, Ok
from wit_world.exports import lifecycle
from wit_world.imports import types

from . import Fleet, Members, NothingSuits


class Instance:
    """What decisions look at, and what the lifecycle does."""

    def __init__(self, policy):
        self.policy = policy
        self.fleet = Fleet(policy.ABOUT.columns)
        self.classes: dict[int, Members] = {}

    def describe(self):
        about = self.policy.ABOUT
        columns = [column.name for column in about.columns]
        return lifecycle.Description(
            project_about.NAME,
            project_about.VERSION,
            about.summary,
            columns,
            about.settings_schema,
            about.reasons,
            about.factors,
        )

    def configure(self, settings):
        configure = getattr(self.policy, "configure", None)
        if configure is not None:
            configure({setting.path: setting.value.value for setting in settings})

    def sync_block(self, epoch, rows, index, words):
        self.fleet.sync_block(rows, index, words)

    def sync_class(self, update):
        rows = Members.eligible(update.eligible)
        self.classes[update.class_] = Members(rows, update.source_region, update.source_zone, update.rtt_ms)

    def drop_class(self, class_):
        self.classes.pop(class_, None)


def answered(decide):
    """An answer, or a refusal raised as the contract has it."""
    try:
        return decide()
    except NothingSuits as nothing:
        raise Err(types.Refusal_NothingSuits(nothing.reason)) from None


def settled(decide):
    """The same as a value, for batches."""
    try:
        return Ok(decide())
    except NothingSuits as nothing:
        return Err(types.Refusal_NothingSuits(nothing.reason))
