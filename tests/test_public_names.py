"""The names of the package: each loads, ``dir()`` shows it, and none loads torch before it is used."""

from __future__ import annotations

import subprocess
import sys

import pytest

import adasr_trl


def test_every_public_name_loads_from_its_module_and_is_in_the_help():
    for name in adasr_trl.__all__:
        assert vars(adasr_trl).get(name) or getattr(adasr_trl, name)
        assert name in adasr_trl.__doc__
    assert set(adasr_trl.__all__) <= set(dir(adasr_trl))
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = adasr_trl.Nothing


def test_the_package_its_names_and_an_episode_load_no_torch():
    code = (
        "import sys, adasr_trl; dir(adasr_trl); adasr_trl.Episode, adasr_trl.StreamingConfig, adasr_trl.build_rewards; "
        "sys.exit(any(name in sys.modules for name in ('torch', 'transformers', 'datasets')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
