"""The schema of MirrorManager's cache: proto2 message `mirrormanager.MirrorList`, and readers of its records.

The messages are built from the tables below on first use. A generated module would not be readable, and would be tied
to the version of the compiler that wrote it. This is the only user of `protobuf`. The messages are of edition 2023,
which has all features of proto2 and can also require that text is UTF-8.

A directory (field 16) is read through two views of its message. Fields that a view does not name stay bytes in C. So a
directory that shares its hosts with thousands of others costs one hash of these bytes, and no object for each host.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final

from google.protobuf.descriptor_pb2 import (
    EDITION_2023,
    DescriptorProto,
    FeatureSet,
    FieldDescriptorProto,
    FieldOptions,
    FileDescriptorProto,
    FileOptions,
)
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass

if TYPE_CHECKING:
    from google.protobuf.message import Message

PACKAGE: Final = "mirrormanager"
_MESSAGES: Final = {
    "StringString": "1 required string key; 2 required string value",
    "StringBool": "1 required string key; 2 required bool value",
    "StringRepeatedInt": "1 required string key; 2 repeated int64 value",
    "IntString": "1 required int64 key; 2 required string value",
    "IntInt": "1 required int64 key; 2 required int64 value",
    "IntRepeatedInt": "1 required int64 key; 2 repeated int64 value",
    "IntRepeatedString": "1 required int64 key; 2 repeated string value",
    "FileDetails": "1 required uint64 TimeStamp; 2 required uint64 Size; 3 optional string SHA1; "
    "4 optional string MD5; 5 optional string SHA256; 6 optional string SHA512",
    "FileDetailsCacheFiles": "1 required string filename; 2 repeated FileDetails FileDetails",
    "FileDetailsCacheDirectory": "1 required string directory; 2 repeated FileDetailsCacheFiles FileDetailsCacheFiles",
    "MirrorListCache": "1 required string directory; 2 repeated int64 Global; 3 optional string Subpath; "
    "4 repeated StringRepeatedInt ByCountry; 5 repeated StringRepeatedInt ByCountryInternet2; "
    "6 repeated IntRepeatedInt ByHostId; 7 optional bool OrderedMirrorList",
    "MirrorList": "1 required uint64 Time; 2 repeated StringString NetblockCountryCache; "
    "3 repeated StringRepeatedInt LocationCache; 4 repeated IntString HCUrlCache; "
    "5 repeated FileDetailsCacheDirectory FileDetailsCache; 6 repeated StringBool DisabledRepositoryCache; "
    "7 repeated StringString CountryContinentRedirectCache; 8 repeated StringString RepositoryRedirectCache; "
    "9 repeated StringString RepoArchToDirectoryName; 10 repeated IntRepeatedInt HostAsnCache; "
    "11 repeated IntInt HostMaxConnectionCache; 12 repeated IntString HostCountryCache; "
    "13 repeated IntInt HostBandwidthCache; 14 repeated IntRepeatedString HostCountryAllowedCache; "
    "15 repeated StringRepeatedInt HostNetblockCache; 16 repeated MirrorListCache MirrorListCache",
}
"""Message -> its fields: number, label, type, name."""
_VIEWS: Final = {
    "DirectoryName": ("MirrorListCache", frozenset({1, 3, 7})),
    "DirectoryHosts": ("MirrorListCache", frozenset({2, 4, 6})),
}
"""View -> message, and the numbers of the fields that it names."""
_PROTO2: Final = FeatureSet(
    repeated_field_encoding=FeatureSet.EXPANDED,
    enum_type=FeatureSet.CLOSED,
    utf8_validation=FeatureSet.VERIFY,
)
_REQUIRED: Final = FieldOptions(features=FeatureSet(field_presence=FeatureSet.LEGACY_REQUIRED))
_SCALARS: Final = {
    "string": FieldDescriptorProto.TYPE_STRING,
    "bool": FieldDescriptorProto.TYPE_BOOL,
    "int64": FieldDescriptorProto.TYPE_INT64,
    "uint64": FieldDescriptorProto.TYPE_UINT64,
}


class RecordError(ValueError):
    """The bytes are no message of the expected type."""


@cache
def message_class(name: str) -> type[Message]:
    """Return the class of a message or a view."""
    return GetMessageClass(_pool().FindMessageTypeByName(f"{PACKAGE}.{name}"))


def fields_of(name: str) -> dict[int, tuple[str, str]]:
    """Return a message's fields: number -> (name, type)."""
    return {number: (field, kind) for number, _, kind, field in _fields(name)}


def parse(name: str, data: bytes) -> Any:  # noqa: ANN401 - its attributes are the fields in the table
    """Read a message or view of the given name; raise RecordError for other bytes."""
    message = message_class(name)()
    try:
        message.ParseFromString(data)
    except (DecodeError, UnicodeDecodeError) as error:  # the second: the runtime without C, of text that is none
        raise RecordError("it is no message") from error
    if not message.IsInitialized():
        raise RecordError("it lacks a required field")
    return message


def rest_of(message: Any) -> bytes:  # noqa: ANN401 - see `parse`
    """Return the bytes of the fields that a view does not name; the view is empty afterwards."""
    for field, _ in message.ListFields():
        message.ClearField(field.name)
    return bytes(message.SerializePartialToString())


def _fields(name: str) -> list[tuple[int, str, str, str]]:
    """Return the fields of a message or view: number, label, type, name."""
    message, shown = _VIEWS.get(name, (name, None))
    found = [part.split() for part in _MESSAGES[message].split("; ")]
    return [
        (int(number), label, kind, field)
        for number, label, kind, field in found
        if shown is None or int(number) in shown
    ]


@cache
def _pool() -> DescriptorPool:
    """Return our own pool, so that a file of the same name elsewhere in the process does not collide."""
    pool = DescriptorPool()
    messages = [
        DescriptorProto(name=name, field=[_field(*field) for field in _fields(name)]) for name in (*_MESSAGES, *_VIEWS)
    ]
    pool.Add(
        FileDescriptorProto(
            name="mirrormanager.proto",
            package=PACKAGE,
            syntax="editions",
            edition=EDITION_2023,
            options=FileOptions(features=_PROTO2),
            message_type=messages,
        )
    )
    return pool


def _field(number: int, label: str, kind: str, name: str) -> FieldDescriptorProto:
    repeated = label == "repeated"
    field = FieldDescriptorProto(
        name=name,
        number=number,
        label=FieldDescriptorProto.LABEL_REPEATED if repeated else FieldDescriptorProto.LABEL_OPTIONAL,
        options=_REQUIRED if label == "required" else None,
    )
    if kind in _SCALARS:
        field.type = _SCALARS[kind]
    else:
        field.type = FieldDescriptorProto.TYPE_MESSAGE
        field.type_name = f".{PACKAGE}.{kind}"
    return field
