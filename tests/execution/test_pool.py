"""Which worker does which job: GPUs, memory and workers that are late, with workers that are none."""

import subprocess
from collections import deque

import pytest

from benchmark.execution.cluster import room
from benchmark.execution.engine import Job, Workplace
from benchmark.execution.pool import Lost, Pool, Worker
from benchmark.execution.processes import freest_gpu, visible_gpus
from benchmark.execution.worker import Ready
from benchmark.spec.result import Result


class Spec:
    """As much of a run spec as a pool looks at; a big run finds no memory beside others, a huge one never."""

    def __init__(self, spec_id, *, big=False):
        self.spec_id, self.big = spec_id, big


class FakeWorker(Worker):
    """A worker whose run ends when the test lets it."""

    def __init__(self, pool, gpu, late=False):
        super().__init__(gpu)
        self.pool, self.messages, self.ended = pool, deque(), False
        if not late:
            self.messages.append(Ready(gpu))

    def send(self, content):
        if isinstance(content, Job):
            self.pool.log.append((content.spec.spec_id, len(self.pool._beside(self))))
            self.messages.append("end")

    def receive(self):
        message = self.messages.popleft()
        if isinstance(message, Lost):
            raise message
        if message != "end":
            return message
        crowded = self.job.spec.big and any(other.ready for other in self.pool._beside(self))
        return Result("oom" if crowded or self.job.spec.spec_id == "huge" else "ok")

    def end(self, *, at_once):
        self.ended = True


class FakePool(Pool):
    """Workers on GPUs, by turns."""

    def __init__(self, gpus, workers, late=(), lost=()):
        super().__init__(Workplace(None, None))
        self.gpus, self.workers, self.late, self.lost = gpus, workers, late, lost
        self.log, self.made = [], []

    @property
    def limit(self):
        return self.workers

    def start(self):
        gpu = freest_gpu(self.gpus, [worker.gpu for worker in self._workers])
        number = len(self.made)
        worker = FakeWorker(self, gpu, late=number in {*self.late, *self.lost})
        if number in self.lost:
            worker.messages.append(Lost("gone"))
        self.made.append(worker)
        return worker

    def heard(self, workers):
        # Those that are not ready first, then the last, so that runs overlap.
        heard = [worker for worker in reversed(workers) if worker.messages]
        return sorted(heard, key=lambda worker: worker.ready)[:1]


class Runs:
    """Gives runs; one that was interrupted comes again, behind the others."""

    def __init__(self, *specs):
        self.waiting, self.ends, self.stopping = deque(specs), [], False

    @property
    def finished(self):
        return not self.waiting

    def next(self):
        return Job(0, self.waiting.popleft()) if self.waiting else None

    def started(self, job):
        pass

    def ended(self, job, result):
        self.ends.append((job.spec.spec_id, result.status))
        if result.status == "interrupted":
            self.waiting.append(job.spec)


def small(count):
    return [Spec(f"small {number}") for number in range(count)]


def test_a_run_that_found_no_memory_beside_others_is_tried_once_more_alone():
    pool, runs = FakePool(["0"], 3), Runs(*small(2), Spec("big", big=True), *small(4)[2:])
    pool.run(runs)
    assert [status for spec_id, status in runs.ends if spec_id == "big"] == ["interrupted", "ok"]
    assert [beside for spec_id, beside in pool.log if spec_id == "big"] == [2, 0]
    assert sorted(runs.ends) == sorted(
        [("big", "interrupted"), ("big", "ok"), *((spec.spec_id, "ok") for spec in small(4))]
    )


def test_one_that_finds_none_alone_either_is_out_of_memory():
    pool, runs = FakePool(["0"], 2), Runs(Spec("huge"), *small(3))
    pool.run(runs)
    assert [status for spec_id, status in runs.ends if spec_id == "huge"] == ["interrupted", "oom"]
    assert [beside for spec_id, beside in pool.log if spec_id == "huge"] == [1, 0]


@pytest.mark.parametrize("gpus", [[], ["0", "1"]])
def test_a_run_that_had_its_gpu_alone_or_none_is_out_of_memory_at_once(gpus):
    runs = Runs(Spec("huge"), *small(2))
    FakePool(gpus, 2).run(runs)
    assert [status for spec_id, status in runs.ends if spec_id == "huge"] == ["oom"]


def test_other_gpus_go_on_while_one_is_left_alone():
    pool, runs = FakePool(["0", "1"], 4), Runs(*small(3), Spec("big", big=True), *small(9)[3:])
    pool.run(runs)
    assert ("big", "ok") in runs.ends
    assert len(runs.ends) == 11
    (crowded,) = {worker.gpu for worker in pool.made if worker.ended}
    assert crowded == "0"  # the last worker is ready first, so the fourth run had the first one


def test_the_job_of_a_worker_that_is_late_goes_to_one_that_is_free():
    pool, runs = FakePool([], 2, late={0}), Runs(*small(4))
    pool.run(runs)
    assert len(runs.ends) == 4
    assert not pool.made[0].runs
    assert pool.made[1].runs == 4


def test_a_worker_that_is_lost_before_it_is_ready_gives_its_job_back():
    pool, runs = FakePool([], 1, lost={0}), Runs(*small(1))
    pool.run(runs)
    assert runs.ends == [("small 0", "interrupted"), ("small 0", "ok")]
    assert pool.made[0].ended


def test_workers_are_spread_over_gpus():
    taken = []
    for _ in range(5):
        taken.append(freest_gpu(["0", "1"], taken))
    assert taken == ["0", "1", "0", "1", "0"]
    assert freest_gpu(["0", "1"], ["0", "0", "1"]) == "1"
    assert freest_gpu([], [None, None]) is None


@pytest.mark.parametrize(
    ("node", "cpus", "gpus", "runs"),
    [
        ({"CPU": 8.0}, 1, 0, 8),
        ({"CPU": 7.0}, 2, 0, 3),
        ({"CPU": 8.0}, 1, 1, 0),
        ({"CPU": 8.0, "GPU": 2.0}, 1, 1, 2),
        ({"CPU": 8.0, "GPU": 2.0}, 1, 0.25, 8),
        ({"CPU": 99.0, "GPU": 2.0}, 1, 1 / 3, 6),
        ({"CPU": 99.0, "GPU": 2.0}, 1, 0.4, 4),  # a run never gets parts of two GPUs
        ({"CPU": 99.0, "GPU": 7.0}, 1, 2, 3),
        ({"memory": 1.0}, 1, 0, 0),
    ],
)
def test_room_on_a_node(node, cpus, gpus, runs):
    assert room(node, cpus, gpus) == runs


@pytest.mark.parametrize(
    ("named", "gpus"), [("0,2", ["0", "2"]), ("", []), ("-1", []), ("GPU-a, GPU-b", ["GPU-a", "GPU-b"])]
)
def test_the_gpus_that_this_process_may_use(monkeypatch, named, gpus):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
    assert visible_gpus() == gpus


def test_a_machine_without_nvidia_tools_has_no_gpus(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(subprocess, "run", lambda *words, **options: missing())
    assert visible_gpus() == []


def missing():
    raise FileNotFoundError("nvidia-smi")
