"""The component: the contract's exports over `policy`. Rarely needs a change."""

import policy
from componentize_py_types import Err
from pilothouse import ranked
from pilothouse.lifecycle import Instance, answered, settled
from wit_world import exports
from wit_world.imports import types

_instance = Instance(policy)


class Lifecycle(exports.Lifecycle):
    def describe(self):
        return _instance.describe()

    def configure(self, settings):
        _instance.configure(settings)

    def sync_block(self, epoch, rows, index, words):
        _instance.sync_block(epoch, rows, index, words)

    def sync_class(self, update):
        _instance.sync_class(update)

    def drop_class(self, class_):
        _instance.drop_class(class_)


def _place(request):
    return policy.place(_instance.fleet, _instance.classes[request.class_], request)


def _wire(choice):
    return types.Choice(choice.row, choice.score, choice.reason)


class Placement(exports.Placement):
    def place(self, request):
        return answered(lambda: _wire(_place(request)))

    def rank(self, request, limit):
        def all_of_them():
            members = _instance.classes[request.class_]
            score = lambda row: policy.score(_instance.fleet, members, request, row)
            found = ranked(members, _place(request), limit, score)
            return [types.Candidate(one.row, one.score, one.reason, []) for one in found]

        return answered(all_of_them)

    def place_many(self, requests):
        return [settled(lambda: _wire(_place(request))) for request in requests]

    def suggest_moves(self, request, residents, limit):
        raise Err(types.Refusal_Unsupported())

    def choose_victims(self, request, row, residents):
        raise Err(types.Refusal_Unsupported())
