from weaktr.data.readers.class_lists import class_list


def test_class_names_may_be_longer_than_a_path() -> None:
    names = tuple(f"class {index}" for index in range(100))
    assert class_list(",".join(names)) == names
