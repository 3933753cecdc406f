"""The component: the contract's exports over `policy`. Rarely needs a change."""

import policy
from pilothouse.lifecycle import Instance, answered, settled
from wit_world import exports
from wit_world.exports import routing as wire

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


def _route(request):
    answer = policy.route(_instance.fleet, _instance.classes[request.class_], request)
    targets = [wire.Target(row, weight) for row, weight in answer.targets]
    return wire.Answer(targets, answer.fallbacks, answer.ttl_ms, answer.reason)


class Routing(exports.Routing):
    def route(self, request):
        return answered(lambda: _route(request))

    def route_many(self, requests):
        return [settled(lambda: _route(request)) for request in requests]
