"""Tables in .csv files: what is a number, a text or missing, and what is said about doubtful columns."""

from __future__ import annotations

import csv

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, VotingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder

from skhalfway.files import read_data, read_model
from skhalfway.files._tables import MISSING
from skhalfway.models import ModelWarning
from skhalfway.models._fitted_columns import categories_of, columns_for


@pytest.fixture
def table(tmp_path):
    """Write a .csv file and read it."""

    def read(content, **options):
        path = tmp_path / "t.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_data(path, **options)

    return read


def values(data, name):
    """The values of a column; None for missing ones."""
    return [None if pd.isna(value) else value for value in data.X[name]]


@pytest.mark.parametrize(
    ("fields", "options", "read"),
    [
        (["01067", "80331", "4109"], {}, ["01067", "80331", "4109"]),
        (["01067", "", "4109"], {}, ["01067", None, "4109"]),
        (["-007", "12", "5"], {}, ["-007", "12", "5"]),
        (["0", "0.5", "10"], {}, [0, 0.5, 10]),
        (["01067", "80331", "4109"], {"numbers": "a"}, [1067, 80331, 4109]),
        (["01067", "NA", "4109"], {"numbers": "a"}, [1067, None, 4109]),
        (["01067", "NA", "4109"], {}, ["01067", "NA", "4109"]),
        (["80331", "", "4109"], {"text": ["a"]}, ["80331", None, "4109"]),
        (["1.50", "NA", "2"], {"text": ["a"]}, ["1.50", "NA", "2"]),
        (["True", "NA", "false"], {}, [True, None, False]),
        (["True", "true", "False"], {"text": "a"}, ["True", "true", "False"]),
        (["1.5", "NA", "2e3"], {}, [1.5, None, 2000]),
        (["NA", "EU", "APAC"], {}, ["NA", "EU", "APAC"]),
        (["NA", "EU", "APAC"], {"missing": "NA"}, [None, "EU", "APAC"]),
        (["NA", "NA", ""], {}, ["NA", "NA", None]),
        (["?", "4", "5"], {}, ["?", "4", "5"]),
        (["?", "4", "NA"], {"missing": ["?"]}, [None, 4, None]),
        (["-999", "4", "5"], {"missing": ["-999"]}, [None, 4, 5]),
        (['"a\r\nb"', "c", "d"], {}, ["a\r\nb", "c", "d"]),
    ],
    ids=str,
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_kinds_of_columns(fields, options, read, end, table):
    content = end.join(["a,b", *(f"{field},1" for field in fields), "", ""])
    for start in (b"", b"\xef\xbb\xbf"):
        found = values(table(start + content.encode(), **options), "a")
        assert found == read and list(map(type, found)) == [
            type(one) if one is None or isinstance(one, (str, bool)) else type(found[i])
            for i, one in enumerate(read)
        ]


@pytest.mark.parametrize("word", MISSING)
def test_words_for_missing_values(word, table):
    """They are missing where all else is numbers; among words, and as labels, they are words."""
    data = table(f"n,t,y\n1,{word},{word}\n{word},x,up\n2.5,y,up\n", target="y")
    assert values(data, "n") == [1, None, 2.5] and data.X["n"].dtype == float
    assert values(data, "t") == [word, "x", "y"] and data.y.tolist() == [word, "up", "up"]
    assert {note.column: note.words for note in data.notes} == {"t": (word,), "y": (word,)}
    data = table(f"n,t,y\n1,{word},no\n{word},x,up\n2.5,y,up\n", target="y", missing=[word])
    assert values(data, "n") == [1, None, 2.5] and values(data, "t") == [None, "x", "y"] and not data.notes
    with pytest.raises(ValueError, match="has no label in 1 row of 2"):
        table(f"n,y\n1,{word}\n2,up\n", target="y", missing=[word])
    with pytest.raises(ValueError, match="has no label in 1 row of 3"):
        table(f"n,y\n1,{word}\n2,0\n3,1\n", target="y")


@pytest.mark.parametrize("start", ["01", " 01", '"01"', "+01", '" -01"'])
@pytest.mark.parametrize(("sep", "end"), [(",", "\n"), ("\t", "\r\n"), ("|", "\n"), (";", "\r")])
def test_leading_zeros_anywhere_in_a_line(start, sep, end, table):
    content = "a,b,c\n" + "".join(
        f"{','.join(start if i == j else '2' for j in range(3))}\n" for i in range(3)
    )
    data = table(content.replace(",", sep).replace("\n", end), sep=sep)
    for name in "abc":
        assert [value.strip() for value in data.X[name]].count(start.strip('" ')) == 1


def test_leading_zeros_behind_an_old_end_of_line(table):
    assert values(table("a,b\r2,x\r01,y\r"), "a") == ["2", "01"]


def test_leading_zeros_far_down(table):
    """Beyond the rows that are looked at together."""
    content = "a,b\n" + "12,1.5\n" * 60_000 + "012,1.5\n"
    data = table(content)
    assert data.X["a"].iloc[[0, -1]].tolist() == ["12", "012"] and data.X["b"].dtype == float


@pytest.mark.parametrize(("sep", "decimal"), [(";", ","), ("\t", ","), ("\t", "."), ("|", "."), (",", ".")])
def test_marks(sep, decimal, table, tmp_path):
    frame = pd.DataFrame({"a": [1.5, -2.25, np.nan], "b": ["x;y", "NA", "z"], "c": ["01", "2", "3"]})
    frame.to_csv(tmp_path / "out.csv", sep=sep, decimal=decimal, index=False)
    data = read_data(tmp_path / "out.csv", sep=sep, decimal=decimal)
    pd.testing.assert_frame_equal(data.X, frame, check_dtype=False)
    if sep != ",":
        said = f"pass sep={sep!r}" + ", decimal=','" * (decimal == ",")
        with pytest.raises(ValueError) as caught:
            read_data(tmp_path / "out.csv")
        # a file of semicolons and decimal commas may also have more values than names
        assert str(caught.value).endswith(said)


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        (
            'a,b\n"1,5",x\n2,y\n',
            {},
            "'a' of t.csv holds numbers such as '1,5'; if commas mark decimals, pass dec",
        ),
        ("a;b\n1,5;x\n2;y\n", {"sep": ";"}, "holds numbers such as '1,5'"),
        ("a;b\n1.500;x\n2;y\n", {"sep": ";", "decimal": ","}, "such as '1.500'; write them without marks"),
        ("a;b\n1.5;x\nNA;y\n", {"sep": ";", "decimal": ","}, "such as '1.5'; write them without marks"),
        ("a,b\n1,x\n", {"sep": ";"}, "by ',', pass sep=','$"),
        ("a,b\n1,x\n", {"sep": ";;"}, "sep must be one character"),
        ("a,b\n1,x\n", {"decimal": ";"}, "decimal must be '.' or ',', got ';'"),
        ("a,b\n1,x\n", {"decimal": ","}, "decimal and sep are both ','"),
        ("a,b\n1,x\n", {"text": ["bb"]}, "has no column 'bb'; it has .'a', 'b'.; did you mean 'b'"),
        ("a,b\n1,x\n", {"text": ["a"], "numbers": ["a"]}, "'a' is both in text and in numbers"),
        ("a,b\n1,x\n01,y\n", {"numbers": ["b"]}, "'b' of t.csv holds 'x' in row 0, which is no number"),
        ("ä,b\n1,x\n".encode("cp1252"), {}, r"not written in UTF-8; .*decode\('cp1252'\)"),
        ("ab,c\n1,é\n".encode("cp1252"), {}, r"not written in UTF-8; .*decode\('cp1252'\)"),
        ("a,b\n1,x\n".encode("utf-16"), {}, r"not written in UTF-8; .*decode\('utf-16'\)"),
    ],
    ids=str,
)
def test_what_cannot_be_read(content, options, message, table):
    with pytest.raises(ValueError, match=message):
        table(content, **options)


def test_text_with_commas_is_kept_if_it_is_meant(table):
    assert values(table('a,b\n"1,5",x\n2,y\n', text=["a"]), "a") == ["1,5", "2"]


def test_other_files_keep_their_types(tmp_path):
    path = tmp_path / "t.parquet"
    pd.DataFrame({"a": ["NA", "01"], "b": [1, 2]}).to_parquet(path)
    assert read_data(path).X["a"].tolist() == ["NA", "01"]
    with pytest.raises(ValueError, match="are for .csv files, and t.parquet is none; leave them out"):
        read_data(path, text=["b"])
    with pytest.raises(TypeError, match="text must hold names of columns, got"):
        read_data(path, text=[1])


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (["2024-01-31", "2023-12-01"], "days"),
        (["2024-01-31 12:30", "2023-12-01T01:02:03.5Z"], "days"),
        (["2024-01-31 12:30:01+02:00", "2023/12/1"], "days"),
        (["31.01.2024", "1.2.24"], "dayfirst"),
        (["1/31/2024 1:30 PM", "12/1/2024 11:05 AM"], "dayfirst"),
        (['"Jan 31, 2024"', "3 March 2023"], "days"),
        (["31-Jan-2024", "01-feb-24"], "days"),
        (["2024-01", "2023-12"], "days"),
        (["12:30", "5:45 pm"], "hours"),
        (["2024-01-31", *["2023-12-01"] * 30, "unknown"], "days"),
        (["2024-01-31", "", "2023-12-01"], "days"),
        (["2024-01-31", "unknown"], ""),
        (["2024-13-01", "2024-01-32"], ""),
        (["192.168.0.1", "10.0.0.1"], ""),
        (["0351-1234567", "030-76543"], ""),
        (["May", "June"], ""),
        (["1.2.3", "2.10.1"], ""),
        (["a-1-2024", "b"], ""),
    ],
    ids=str,
)
def test_dates(fields, said, table):
    data = table("\n".join(["n,when", *(f"{i},{field}" for i, field in enumerate(fields))]))
    assert [note.column for note in data.notes] == ["when"] * bool(said)
    assert all(f"{said}" in str(note) and "no attack changes" in str(note) for note in data.notes)
    assert repr(data).count("\nnote: column 'when' holds") == bool(said)


def test_days_of_the_note_are_right(table):
    """The code in the note turns the column into days."""
    data = table("when\n2000-01-02\n2001-01-01\n")
    code = str(data.notes[0]).split("is trained: ")[1]
    assert eval(code, {"pandas": pd, "column": data.X["when"]}).tolist() == [1, 366]


# --- what a model was fitted on

RNG = np.random.RandomState(3)
SITES = pd.DataFrame(
    {
        "kw": RNG.gamma(2, 3, 120).round(2),
        "zip code": RNG.choice(["80331", "10115", "50667"], 120),
        "grade": RNG.choice(["A", "NA", "None"], 120),
    }
)
STATE = np.where(SITES["kw"] + 4 * (SITES["zip code"] == "80331") > 7, "None", "up")
TEXTS = ["zip code", "grade"]


def pipeline(columns=TEXTS, encoder=None):
    encoder = OneHotEncoder(handle_unknown="ignore") if encoder is None else encoder
    return make_pipeline(
        make_column_transformer((encoder, columns), remainder="passthrough"), LogisticRegression(max_iter=500)
    )


def imputed():
    return make_pipeline(SimpleImputer(strategy="most_frequent"), OrdinalEncoder())


@pytest.mark.parametrize(
    "model",
    [
        pipeline(),
        pipeline([1, 2]),
        pipeline(slice(1, 3)),
        pipeline(encoder=imputed()),
        GridSearchCV(pipeline(), {"logisticregression__C": [1, 2]}, cv=2),
        CalibratedClassifierCV(pipeline(), cv=2),
        VotingClassifier([("a", pipeline()), ("b", pipeline())]),
    ],
    ids=lambda model: type(model).__name__,
)
def test_text_and_numbers_of_models(model, tmp_path):
    path = tmp_path / "m.joblib"
    model = FrozenEstimator(model.fit(SITES, STATE))
    joblib.dump(model, path)
    assert {name: list(found) for name, found in categories_of(model).items()} == {
        "zip code": ["10115", "50667", "80331"],
        "grade": ["A", "NA", "None"],
    }
    read_model(path, trust_pickle=True, X=SITES)
    said = (
        r"^m.joblib: column 'zip code' held text, such as '10115', when the model was fitted, but holds "
        r"numbers in X, such as \d{5}; .* text=\['zip code'\]"
    )
    with pytest.raises(ValueError, match=said):
        read_model(path, trust_pickle=True, X=SITES.astype({"zip code": int}))
    joblib.dump(model.estimator.fit(SITES.astype({"zip code": int}), STATE), path)
    with pytest.raises(ValueError, match=r"held numbers, such as 10115, .* numbers=\['zip code'\]"):
        read_model(path, trust_pickle=True, X=SITES)


def test_columns_that_a_selector_takes_for_text(tmp_path):
    path = tmp_path / "m.joblib"
    model = pipeline(make_column_selector(dtype_exclude="number"))
    joblib.dump(model.fit(SITES, STATE), path)
    with pytest.raises(ValueError, match="column 'zip code' held text"):
        read_model(path, trust_pickle=True, X=SITES.astype({"zip code": int}))
    assert set(categories_of(model.fit(SITES.astype({"zip code": int}), STATE))) == {"grade"}


def test_categories_of_boosting():
    typed = SITES.astype(dict.fromkeys(TEXTS, "category"))
    model = HistGradientBoostingClassifier(categorical_features="from_dtype", max_iter=2).fit(typed, STATE)
    assert set(categories_of(model)) == set(TEXTS)


def test_bools_go_with_numbers(tmp_path):
    path, table = tmp_path / "m.joblib", SITES.assign(grade=SITES["grade"] == "A")
    joblib.dump(pipeline().fit(table, STATE), path)
    read_model(path, trust_pickle=True, X=table.assign(grade=table["grade"].astype(int)))
    with pytest.raises(
        ValueError, match="column 'grade' held bools, .* but holds text in X, such as '(True|False)'; convert"
    ):
        read_model(path, trust_pickle=True, X=table.assign(grade=table["grade"].astype(str)))


def as_text(X):
    return X.astype(str)


def test_a_model_that_makes_text_itself_takes_numbers(tmp_path):
    """Only encoders that get the columns as they are tell what the columns held."""
    path = tmp_path / "m.joblib"
    encoder = make_pipeline(FunctionTransformer(as_text, feature_names_out="one-to-one"), OneHotEncoder())
    table = SITES.astype({"zip code": int})
    model = pipeline(encoder=encoder).fit(table, STATE)
    joblib.dump(model, path)
    assert categories_of(model) == {}
    read_model(path, trust_pickle=True, X=table)


def test_columns_by_name(tmp_path):
    path = tmp_path / "m.joblib"
    joblib.dump(pipeline().fit(SITES, STATE), path)
    with pytest.warns(ModelWarning, match=r"m.joblib was not fitted on \['id'\] of X; give it X\[list\("):
        model = read_model(path, trust_pickle=True, X=SITES.assign(id=range(120)))
    assert columns_for(model, "m.joblib", ["id", "grade", "kw", "zip code"]) == list(SITES)
    with pytest.raises(
        ValueError, match="X lacks column 'kw', which the model was fitted on; did you mean 'kws'"
    ):
        read_model(path, trust_pickle=True, X=SITES.rename(columns={"kw": "kws"}))
    stored = type("Stored", (), {"feature_names_in_": ["kw", "zip_code"]})()  # as LightGBM stores names
    assert columns_for(stored, "m.joblib", ["zip code", "kw", "more"]) == ["kw", "zip code"]


@pytest.mark.parametrize(
    "content",
    [
        "a,b,c\n1,x,\n\n3,y,5\n",
        "a,b,c\n1,x,\n   \n3,y,5\n",
        "a,b,c\r\n1,x,\r\n3,y,5\r\n",
        "\ufeffa,b,c\n1,x,\n3,y,5",
        'a,b,c\n1,"x",\n3,"y",5\n',
        'a,b,c\n1,"x",""\n3,"y",5\n',
    ],
)
def test_a_row_may_end_with_a_missing_value(tmp_path, content):
    (tmp_path / "t.csv").write_bytes(content.encode())
    X = read_data(tmp_path / "t.csv").X
    assert X["b"].tolist() == ["x", "y"] and X["c"].isna().tolist() == [True, False]


def test_fields_may_be_long(tmp_path):
    limit = csv.field_size_limit()
    (tmp_path / "t.csv").write_text(f"a,b\n{'x' * 200_000},\ny,1\n")
    assert read_data(tmp_path / "t.csv").X["a"].str.len().tolist() == [200_000, 1]
    assert csv.field_size_limit() == limit
