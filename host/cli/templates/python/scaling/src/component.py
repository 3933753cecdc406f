"""The component: the contract's exports over `policy`. Rarely needs a change."""

import policy
from pilothouse.lifecycle import Instance, answered, settled
from wit_world import exports
from wit_world.exports import scaling as wire

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


def _scale(request):
    target = policy.scale(request)
    return wire.Target(target.replicas, target.confidence, target.forecast_per_s, target.reason)


class Scaling(exports.Scaling):
    def scale(self, request):
        return answered(lambda: _scale(request))

    def scale_many(self, requests):
        return [settled(lambda: _scale(request)) for request in requests]
