"""The scenarios: functions of a cell, in the order in which they run."""

SCENARIOS = []


class Scenario:
    def __init__(self, function, restarts):
        self.name, self.run, self.says = function.__name__.replace("_", "-"), function, function.__doc__
        self.restarts = restarts


def scenario(function, restarts=False):
    """Registers a scenario. Its name is the function's, its docstring says what it shows."""
    SCENARIOS.append(Scenario(function, restarts))
    return function


def restarting(function):
    """The same for one that restarts the daemon: no other agents are there meanwhile."""
    return scenario(function, restarts=True)


from . import memory, keys, life, events, errors, users, restart  # noqa: E402,F401
