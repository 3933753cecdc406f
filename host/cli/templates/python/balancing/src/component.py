"""The component: the contract's exports over `policy`. Rarely needs a change."""

import policy
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


def _choose(request):
    return policy.choose(_instance.fleet, _instance.classes[request.class_], request)


def _wire(choice):
    return types.Choice(choice.row, choice.score, choice.reason)


class Balancing(exports.Balancing):
    def choose(self, request):
        return answered(lambda: _wire(_choose(request)))

    def rank(self, request, limit):
        def all_of_them():
            members = _instance.classes[request.class_]
            score = lambda row: policy.score(_instance.fleet, members, row)
            found = ranked(members, _choose(request), limit, score)
            return [types.Candidate(one.row, one.score, one.reason, []) for one in found]

        return answered(all_of_them)

    def choose_many(self, requests):
        return [settled(lambda: _wire(_choose(request))) for request in requests]
