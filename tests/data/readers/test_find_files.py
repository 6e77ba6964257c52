from hypothesis import given, settings
from hypothesis import strategies as st

from weaktr.data.readers.find_files import flat_ids

quick = settings(max_examples=60, deadline=None)


@quick
@given(st.sets(st.text("ab/ .é", min_size=1, max_size=8), max_size=8))
def test_ids_are_flat(names: set[str]) -> None:
    files = [f"photos/{name.strip('/')}x.jpg" for name in names]
    ids = flat_ids(files)
    assert set(ids) == set(files)
    assert not any("/" in id_ or id_.endswith(".jpg") for id_ in ids.values())
