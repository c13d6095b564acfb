//! Python's values as options and paths.

use super::errors::exception;
use crate::config::Value;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};

/// A Python value as an option takes it; what is none of its kinds is shown in the error.
pub(super) fn to_value(value: &Bound<'_, PyAny>) -> Value {
    if value.is_none() {
        return Value::None;
    }
    if let Ok(switch) = value.cast::<PyBool>() {
        return Value::Switch(switch.is_true());
    }
    if let Ok(pairs) = value.cast::<PyDict>() {
        let lines = pairs.iter().map(|(name, value)| Some(format!("{}: {}", text_of(&name)?, text_of(&value)?)));
        return lines.collect::<Option<_>>().map_or_else(|| Value::Other(shown(value)), Value::List);
    }
    if value.is_instance_of::<PyList>() || value.is_instance_of::<PyTuple>() {
        let texts = value.try_iter().map(|items| items.map(|item| text_of(&item.ok()?)).collect::<Option<_>>());
        return texts.ok().flatten().map_or_else(|| Value::Other(shown(value)), Value::List);
    }
    // A path of pathlib is as good as its text.
    if let Ok(path) = value.call_method0("__fspath__") {
        return text_of(&path).map_or_else(|| Value::Other(shown(value)), Value::Text);
    }
    let known = if value.is_instance_of::<PyInt>() {
        value.extract::<i64>().ok().map(|number| Value::Integer(number.into()))
    } else if value.is_instance_of::<PyFloat>() {
        value.extract().ok().map(Value::Number)
    } else {
        text_of(value).map(Value::Text)
    };
    known.unwrap_or_else(|| Value::Other(shown(value)))
}

/// The text of a path, given as text or as a path of pathlib; OptionError that calls it by `name` for what is neither.
pub(super) fn path_text(value: &Bound<'_, PyAny>, name: &str) -> PyResult<String> {
    match to_value(value) {
        Value::Text(text) => Ok(text),
        _ => {
            let message = format!("{name}: {} is not allowed; it takes text or a path, in UTF-8", shown(value));
            Err(exception(value.py(), "OptionError", (message,)))
        }
    }
}

fn text_of(value: &Bound<'_, PyAny>) -> Option<String> {
    value.cast::<PyString>().ok()?.to_str().ok().map(str::to_owned)
}

fn shown(value: &Bound<'_, PyAny>) -> String {
    value.repr().map_or_else(|_| "this value".into(), |repr| repr.to_string())
}
