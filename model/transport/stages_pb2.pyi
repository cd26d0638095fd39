from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Sent(_message.Message):
    __slots__ = ("header", "chunk")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    header: bytes
    chunk: bytes
    def __init__(self, header: _Optional[bytes] = ..., chunk: _Optional[bytes] = ...) -> None: ...

class Answered(_message.Message):
    __slots__ = ("accepted", "progress", "header", "chunk")
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    HEADER_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    accepted: bool
    progress: Progress
    header: bytes
    chunk: bytes
    def __init__(self, accepted: _Optional[bool] = ..., progress: _Optional[_Union[Progress, _Mapping]] = ..., header: _Optional[bytes] = ..., chunk: _Optional[bytes] = ...) -> None: ...

class Progress(_message.Message):
    __slots__ = ("step", "of")
    STEP_FIELD_NUMBER: _ClassVar[int]
    OF_FIELD_NUMBER: _ClassVar[int]
    step: int
    of: int
    def __init__(self, step: _Optional[int] = ..., of: _Optional[int] = ...) -> None: ...

class DescribeRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Description(_message.Message):
    __slots__ = ("instance", "role", "model", "revision", "wire_versions", "state", "about")
    INSTANCE_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    WIRE_VERSIONS_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    ABOUT_FIELD_NUMBER: _ClassVar[int]
    instance: str
    role: str
    model: str
    revision: str
    wire_versions: _containers.RepeatedScalarFieldContainer[int]
    state: str
    about: bytes
    def __init__(self, instance: _Optional[str] = ..., role: _Optional[str] = ..., model: _Optional[str] = ..., revision: _Optional[str] = ..., wire_versions: _Optional[_Iterable[int]] = ..., state: _Optional[str] = ..., about: _Optional[bytes] = ...) -> None: ...
