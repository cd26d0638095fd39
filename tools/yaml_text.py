"""YAML for files that people read: keys in order, no anchors, long texts folded."""

from typing import Any

import yaml


class _Plain(yaml.CSafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def yaml_text(document: Any) -> str:
    """``document`` as YAML."""
    text: str = yaml.dump(document, Dumper=_Plain, sort_keys=False, width=100, allow_unicode=True)
    return text
