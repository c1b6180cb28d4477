"""Studios at work, in this process or in several: episodes in, what was heard of them out, in order.

with Listeners(Studio, speaking, workers=2) as listeners:
for result in listeners.all(rows):
...                                # (episode, heard), or a rejected row
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager

from adasr_trl.core.episode import Episode
from adasr_trl.core.interrupts import interrupts_held, one_interrupt
from adasr_trl.core.sentences import sentence_chunks
from data_builders.errors import BuildError
from data_builders.rows.row import Rejected
from data_builders.tools.spoken import Heard, Speaking, Studio, UnspokenError, Utterance

Row = Episode | Rejected
Result = tuple[Episode, Heard] | Rejected
_WAITING = 4  # texts a worker that wait in memory


class Listeners(ExitStack):
    """Studios in this process or in several.

    Attributes:
        studio: Class of the studios.
        speaking: Their settings.
        workers: Number of processes; 1 is this one.
    """

    def __init__(self, studio: type[Studio], speaking: Speaking, workers: int) -> None:
        super().__init__()
        self._studio = studio(speaking)
        self._studio.check()
        self._workers = workers
        self._pool: ProcessPoolExecutor | None = None
        if workers > 1:
            self._pool = self.enter_context(_pool(workers, studio, speaking))

    def all(self, rows: Iterable[Row]) -> Iterator[Result]:
        """What was heard of every row, in order; a rejected row stays one."""
        if self._pool is None:
            for row in rows:
                yield row if isinstance(row, Rejected) else _result(row, _listen(self._studio, row))
            return
        running: deque[Rejected | tuple[Episode, Future[Heard | Rejected]]] = deque()
        try:
            for row in rows:
                if isinstance(row, Rejected):
                    running.append(row)
                else:
                    with interrupts_held():  # a pool starts a process when a text comes
                        running.append((row, self._pool.submit(_listen_here, row)))
                if len(running) > _WAITING * self._workers:
                    yield _awaited(running.popleft())
            while running:
                yield _awaited(running.popleft())
        except BrokenProcessPool as error:
            raise BuildError(
                "a worker ended on its own, perhaps for lack of memory; run the same command again, which goes on "
                "where it was, with fewer --workers."
            ) from error


@contextmanager
def _pool(workers: int, studio: type[Studio], speaking: Speaking) -> Iterator[ProcessPoolExecutor]:
    """Processes that end with the context, and at once where it ends by an error or an interrupt."""
    pool = ProcessPoolExecutor(
        workers,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_begin,
        initargs=(studio, speaking),
    )
    before = multiprocessing.active_children()

    def end() -> None:
        for child in multiprocessing.active_children():
            if child not in before:
                child.terminate()

    with one_interrupt(end):
        try:
            yield pool
        except BaseException:
            end()
            raise
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _awaited(one: Rejected | tuple[Episode, Future[Heard | Rejected]]) -> Result:
    return one if isinstance(one, Rejected) else _result(one[0], one[1].result())


def _result(episode: Episode, heard: Heard | Rejected) -> Result:
    return heard if isinstance(heard, Rejected) else (episode, heard)


def _listen(studio: Studio, episode: Episode) -> Heard | Rejected:
    """What was heard; a text that fails is a rejected row."""
    where = f"id {episode.id}"
    sentences = tuple(text.strip() for text in sentence_chunks(episode.text))
    try:
        heard = studio.listen(Utterance(episode.id, sentences, episode.question))
    except UnspokenError as error:
        reason, _, detail = str(error).partition(": ")
        return Rejected(where, reason, detail)
    except RuntimeError as error:  # of the synthesiser or the recogniser, on one text
        return Rejected(where, "not_recognised", " ".join(str(error).split())[:200])
    if not heard.chunks:
        return Rejected(where, "nothing_heard", f"{heard.seconds} s of sound without a word")
    return heard


_here: list[Studio] = []  # the studio of a worker's process


def _begin(studio: type[Studio], speaking: Speaking) -> None:
    _here.append(studio(speaking))
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A worker whose parent was killed would wait for texts for good."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _listen_here(episode: Episode) -> Heard | Rejected:
    return _listen(_here[0], episode)
