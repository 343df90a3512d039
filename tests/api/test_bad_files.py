"""What a person is told about a file that is no manifest, or whose documents clash: one case each."""

import pytest
from manifests import media_bucket, object_store, problems_of

# Name of the case, the text, the field, and the sentence.
BAD: list[tuple[str, str, str, str]] = [
    # the file
    ("empty file", "", "", "is empty: expected documents of kind MediaBucket, ObjectStore or Secret"),
    ("only comments", "# later\n---\n# more\n", "", "is empty"),
    ("a list", "- a\n- b\n", "", "is a list of 2: expected a mapping with apiVersion, kind, metadata and spec"),
    ("a sentence", "hello", "", 'is "hello": expected a mapping with apiVersion'),
    ("null document", "null", "", "is null: expected a mapping"),
    ("broken YAML", "spec: [1, 2", "", "not YAML at line 2, column 1: while parsing a flow sequence, did not find"),
    ("tab for indentation", "spec:\n\tname: a", "", "not YAML at line 2, column 1"),
    ("unknown alias", "spec: *missing", "", "not YAML at line 1, column 7: found undefined alias"),
    ("control character", "a: \x00", "", "not YAML"),
    ("huge file", "#" * (1024**2 + 1), "", "the file is larger than 1048576 bytes"),
    ("deep nesting", "a: " + "[" * 100_000, "", "nested deeper than 64 levels"),
    # YAML that is more than plain values
    (
        "field twice",
        media_bucket("bucketName: abc\nbucketName: abd"),
        "spec.bucketName",
        "is set twice, first at line 6: remove one",
    ),
    ("number as key", media_bucket("1: a"), "spec", "has the key 1 at line 6: keys are text, put it in quotes"),
    ("list as key", media_bucket("? [a]\n: b"), "spec", "keys are text, put it in quotes"),
    (
        "YAML tag",
        media_bucket("bucketName: !upper abc"),
        "spec.bucketName",
        "has the YAML tag !upper: only plain values are read",
    ),
    (
        "Python tag",
        media_bucket("bucketName: !!python/object/apply:os.system [id]"),
        "spec.bucketName",
        "only plain values are read",
    ),
    ("endless alias", "a: &a [*a]", "", "its anchors and aliases stand for too much"),
    (
        "alias bomb",
        "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 9)),
        "",
        "its anchors and aliases stand for too much: write the values out",
    ),
    # between documents
    (
        "resource twice",
        f"{media_bucket('bucketName: abc')}---\n{media_bucket('bucketName: abd')}",
        "metadata.name",
        "is chat, as in document 1: give each its own",
    ),
    (
        "bucket twice",
        f"{media_bucket('bucketName: abc')}---\n{media_bucket('bucketName: abc', name='other')}",
        "spec.bucketName",
        "a second owner beside MediaBucket/chat in document 1: name another bucket",
    ),
    (
        "bucket twice by default name",
        f"{media_bucket()}---\n{media_bucket('bucketName: default-chat', name='other')}",
        "spec.bucketName",
        "gives bucket default-chat on store embedded a second owner",
    ),
    (
        "store of another name",
        f"{object_store(name='aws')}---\n{object_store(name='ceph')}---\n{media_bucket()}",
        "spec.storeRef.name",
        'is "embedded": expected an ObjectStore of this file, aws or ceph',
    ),
]


@pytest.mark.parametrize(("text", "field", "words"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_a_bad_file_is_refused_with_one_sentence(text: str, field: str, words: str) -> None:
    (problem,) = problems_of(text)
    assert problem.field == field
    assert words in problem.message
    assert str(problem).startswith("chat.yaml:")
