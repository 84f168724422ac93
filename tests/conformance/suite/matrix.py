"""Runs every scenario for every pair of languages against one daemon."""

from .agent import Agent
from .cell import Cell
from .report import FAILED, PASSED, Result, judged

CELL_SECONDS = 30


class Agents:
    """The processes: one for each role and language that lasts, others that a cell has for itself."""

    def __init__(self, built, environment):
        self._built, self._environment = built, environment
        self._lasting, self._own = {}, []

    def get(self, role, language, fresh=False, user=None):
        if fresh or user is not None:
            agent = self._start(role, language, user)
            self._own.append(agent)
            return agent
        if (role, language) not in self._lasting:
            self._lasting[role, language] = self._start(role, language, None)
        return self._lasting[role, language]

    def _start(self, role, language, user):
        command, environment = self._built[language]
        return Agent(language, role, command, {**self._environment, **environment}, user)

    def end_own(self):
        """Ends those of the cell."""
        for agent in self._own:
            if agent.process.returncode is None:
                agent.end()
        self._own.clear()

    def discard(self, pairs):
        """Kills these, of a cell that has failed: the next cell gets new ones."""
        for agent in self._own + [self._lasting.pop(pair) for pair in pairs if pair in self._lasting]:
            agent.kill()
        self._own.clear()

    def end(self):
        """Ends all. What is wrong with that, as (language, text)."""
        wrong = []
        for agent in self._lasting.values():
            agent.extend(10)
            status = agent.end()
            if status != 0:
                wrong.append((agent.language, f"{agent.name} ended with status {status} at the end of its input"))
        self._lasting.clear()
        self.end_own()
        return wrong


class Matrix:
    def __init__(self, daemon, built, environment, report):
        self.daemon, self.report = daemon, report
        self.agents = Agents(built, environment)
        self.languages = list(built)

    def run(self, scenarios):
        for scenario in scenarios:
            if scenario.restarts:
                self._end_agents(scenario)
            results = [self._cell(scenario, writer, reader) for writer in self.languages for reader in self.languages]
            self.report.scenario(scenario, results)
        self._end_agents(None)

    def _end_agents(self, scenario):
        for language, text in self.agents.end():
            self.report.add(Result("exit", language, language, FAILED, text))

    def _cell(self, scenario, writer, reader):
        cell = Cell(scenario.name, self.daemon, self.agents.get, writer, reader, self.report.types, CELL_SECONDS)
        status, text = PASSED, ""
        try:
            scenario.run(cell)
            cell.clean()
            self.agents.end_own()
        except Exception as wrong:  # pylint: disable=broad-except
            status, text = judged(wrong)
        if status != PASSED:
            self._recover(cell, writer, reader)
        return Result(scenario.name, writer, reader, status, text)

    def _recover(self, cell, writer, reader):
        self.agents.discard([("writer", writer), ("reader", reader)])
        if not self.daemon.running():
            self.daemon.start()
        cell.delete_made()
