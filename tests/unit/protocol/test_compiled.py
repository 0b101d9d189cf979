"""The zygote compiles every record before it forks."""

from __future__ import annotations

from actorrt.node.processes.zygote import PRELOAD
from actorrt.protocol import compiled
from actorrt.protocol.verb import VERBS, Record


def test_every_record_that_each_process_uses_is_compiled_when_the_module_is_imported() -> None:
    """Records of clusters are compiled when they are first used: most processes use none."""
    of_clusters = ("actorrt.protocol.cluster.", "actorrt.cluster.", "actorrt.node.clustering.", "actorrt.node.objects.")
    own = [record for record in compiled.records() if record.__module__.startswith("actorrt.")]
    own = [record for record in own if not record.__module__.startswith(of_clusters)]
    modules = {module.__name__ for module in compiled.MODULES}
    assert {request for request in VERBS.values() if request.__module__ in modules} <= {*own}
    assert [record.__name__ for record in own if record.__init__ is Record.__init__] == []


def test_zygote_imports_the_compiled_records() -> None:
    assert compiled.__name__ in PRELOAD
