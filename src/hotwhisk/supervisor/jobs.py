"""
Jobs that a spare is given: to end the log of a version, and to remove the folder of a version.

Pure, and a part of `rollout`. A spare can die before it has done a job. Then the job is finished in
another way, so that no answer and no folder is forgotten.
"""

from __future__ import annotations

from collections import deque

from hotwhisk.ipc.messages import EndLog
from hotwhisk.supervisor.commands import Candidate, Command, RemoveFolder, Send, SendAnswer
from hotwhisk.supervisor.dispatcher import Dispatcher
from hotwhisk.supervisor.workers import Workers


class SpareJobs:
    """The jobs that spares have not finished yet."""

    def __init__(self, workers: Workers, dispatcher: Dispatcher, commands: deque[Command]) -> None:
        self._workers = workers
        self._dispatcher = dispatcher
        self._commands = commands
        self._answers: list[tuple[int, SendAnswer]] = []
        """Answers that wait for the end of a log, each with the slot of the spare that ends it."""
        self._folders: dict[int, int] = {}
        """For each generation whose folder is being removed, the slot of the spare that does it."""

    def answer(self, candidate: Candidate, status: int, text: str) -> None:
        """
        Send the result of a replacement: ``status`` 200, or an error and its text.

        Under OpenWhisk an answer comes after its log. A version that exited could not end its log.
        So a spare ends it, and the answer waits for that.
        """
        answer = SendAnswer(candidate, status, text)
        if candidate.log:
            spare = self._workers.spare
            self._commands.append(Send(spare, EndLog(candidate.log)))
            self._answers.append((spare, answer))
        else:
            self._send(answer)

    def remove_leftovers(self) -> None:
        """Have the spare remove the files of an earlier server, which are in a folder ``0``."""
        self.remove_folder(0)

    def remove_folder(self, generation: int) -> None:
        """Have the spare remove the folder of a generation."""
        self._folders[generation] = self._workers.spare
        self._commands.append(RemoveFolder(self._workers.spare, generation))

    def log_ended(self, slot: int) -> None:
        """Send the oldest answer that waited for the spare in ``slot``."""
        for each in self._answers:
            if each[0] == slot:
                self._answers.remove(each)
                self._send(each[1])
                return

    def folder_removed(self, slot: int, generation: int, *, rest: bool) -> None:
        """Record that a spare removed a folder; if a ``rest`` is left, have the spare go on."""
        if self._folders.get(generation) == slot:
            del self._folders[generation]
            if rest:
                self.remove_folder(generation)

    def waits_for(self, slot: int) -> bool:
        """Return whether an answer waits for the spare in ``slot``."""
        return any(spare == slot for spare, _ in self._answers)

    def exited(self, slot: int) -> None:
        """Finish the jobs of a dead spare: send its answers, and remove its folders."""
        while self.waits_for(slot):
            self.log_ended(slot)
        for generation, spare in tuple(self._folders.items()):
            if spare == slot:
                del self._folders[generation]
                # A roll-back may have brought a generation back, and its folder is in use then.
                if not generation or not self._workers.use_folder(generation):
                    self.remove_folder(generation)

    def _send(self, answer: SendAnswer) -> None:
        """Send an answer. Assign its connection to a worker if it stays open."""
        self._commands.append(answer)
        number = answer.candidate.connection
        if number is not None and not answer.candidate.last:
            self._dispatcher.init_answered(number)
