from pydantic import BaseModel

from weaktr.config.params import Params


def test_no_key_has_a_name_that_dvc_leaves_out_of_its_hash() -> None:
    def keys(model: type[BaseModel]) -> list[str]:
        found = []
        for name, field in model.model_fields.items():
            found.append(name)
            kind = field.annotation
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                found += keys(kind)
        return found

    names = keys(Params)
    assert "lr" in names
    assert not {"size", "nfiles"} & set(names)
