//! Python objects from a tape, as Pydantic makes them.
//!
//! Owns: making them: models without their `__init__`, in the order of their fields. Does not own: what is valid (`walk`).
//! Rule: what is built equals what `validate_python(json.loads(body), from_attributes=True)` gives: types, order of
//! `__dict__`, `__pydantic_fields_set__`, `__pydantic_extra__`, `__pydantic_private__`. Keys that a request chose are
//! never interned.
//! Spec: `create_class` and `set_model_attrs` in pydantic-core 2.41, `src/validators/model.rs`.

use super::node::{Default, Expected, Extra, Fields, Maker, Node, Object, Product};
use super::tape::{Entry, Span, Tape};
use super::{Compiled, Root, Slots};
use crate::interp::{call_with_keyword, dict_for, new_instance, set_of_keys, str_from_utf8, Held};
use pyo3::exceptions::PyAssertionError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyFrozenSet, PyInt, PyList, PySet, PyString, PyTuple, PyType};
use std::cell::RefCell;

type Built<'py> = PyResult<Bound<'py, PyAny>>;

impl Compiled {
    /// The value of a parameter that is the whole body, from the tape that [`judge`](Self::judge) made of that body.
    ///
    /// # Errors
    /// What Pydantic raises where it still has to judge (`ValidationError`), what the default factories of the models
    /// raise, and memory.
    pub fn build<'py>(&self, py: Python<'py>, body: &[u8], tape: &Tape) -> Built<'py> {
        let mut builder = Builder::new(py, self, body, tape);
        match &self.root {
            Root::Whole(whole) if tape.is_for_pydantic => {
                let value = builder.raw()?;
                builder.validate(&whole.validate, value)
            }
            Root::Whole(whole) => builder.node(&whole.node),
            Root::Members(_) => Err(astray()),
        }
    }

    /// The values of parameters that are members of the body; `None` for one that is not there and has a default.
    ///
    /// Where [`Tape::is_for_pydantic`], they are what `json.loads` gives, not validated yet.
    ///
    /// # Errors
    /// As [`build`](Self::build).
    pub fn build_members<'py>(
        &self,
        py: Python<'py>,
        body: &[u8],
        tape: &Tape,
    ) -> PyResult<Vec<Option<Bound<'py, PyAny>>>> {
        let Root::Members(members) = &self.root else { return Err(astray()) };
        let mut builder = Builder::new(py, self, body, tape);
        let mut values = Vec::with_capacity(members.len());
        for member in members {
            values.push(match builder.take_missing() {
                true => None,
                false if tape.is_for_pydantic => Some(builder.raw()?),
                false => Some(builder.node(&member.node)?),
            });
        }
        Ok(values)
    }
}

struct Builder<'a, 'py> {
    py: Python<'py>,
    compiled: &'a Compiled,
    body: &'a [u8],
    own: &'a [u8],
    rest: std::slice::Iter<'a, Entry>,
}

impl<'a, 'py> Builder<'a, 'py> {
    fn new(py: Python<'py>, compiled: &'a Compiled, body: &'a [u8], tape: &'a Tape) -> Self {
        Builder { py, compiled, body, own: tape.own.as_bytes(), rest: tape.entries.iter() }
    }

    fn next(&mut self) -> PyResult<Entry> {
        self.rest.next().copied().ok_or_else(astray)
    }

    fn take_missing(&mut self) -> bool {
        let is_missing = matches!(self.rest.as_slice().first(), Some(Entry::Missing));
        if is_missing {
            self.rest.next();
        }
        is_missing
    }

    fn node(&mut self, node: &Node) -> Built<'py> {
        match node {
            Node::Any | Node::Null(_) | Node::Bool(_) | Node::Int(_) | Node::Float(_) => self.raw(),
            Node::Str(str) => {
                let value = self.raw()?;
                match str.coerces_numbers && !value.is_instance_of::<PyString>() {
                    true => Ok(value.str()?.into_any()),
                    false => Ok(value),
                }
            }
            Node::Recognised(kind, maker) => {
                let value = self.raw()?;
                if let (Some(moments), Ok(text)) = (&self.compiled.moments, value.cast::<PyString>()) {
                    if let Some(made) = moments.make(*kind, text)? {
                        return Ok(made);
                    }
                }
                Ok(self.maker(*maker)?.bind(self.py).call1((value,))?)
            }
            Node::Made(_, maker) => self.made(*maker),
            Node::Literal(literal) => self.picked(&literal.expected, literal.maker),
            Node::Enum(members) => self.picked(&members.expected, members.maker),
            Node::List(list) => {
                let count = self.array()?;
                self.list(count, list.items.as_deref().unwrap_or(&Node::Any))
            }
            Node::Set(set) => {
                let count = self.array()?;
                let items = self.items(count, &set.items)?;
                match set.is_frozen {
                    true => Ok(PyFrozenSet::new(self.py, items)?.into_any()),
                    false => Ok(PySet::new(self.py, items)?.into_any()),
                }
            }
            Node::Tuple(tuple) => {
                let count = self.array()?;
                let mut items = Vec::with_capacity(count);
                for node in &tuple.head {
                    items.push(match self.take_missing() {
                        true => self.default(node)?.ok_or_else(astray)?,
                        false => self.node(node)?,
                    });
                }
                if let Some(node) = &tuple.repeated {
                    for _ in tuple.head.len()..count {
                        items.push(self.node(node)?);
                    }
                }
                Ok(PyTuple::new(self.py, items)?.into_any())
            }
            Node::Dict(dict) => {
                let count = self.object()?;
                self.pairs(count, &dict.keys, &dict.values).map(Bound::into_any)
            }
            Node::Fields(fields) => self.fields(fields),
            Node::Nullable(inner) => match self.rest.as_slice().first() {
                Some(Entry::Null) => self.raw(),
                _ => self.node(inner),
            },
            Node::Default { inner, .. } => self.node(inner),
            Node::Union(union) => match self.next()? {
                Entry::Pick(index) => {
                    self.node(union.choices.get(index as usize).map(|(_, node)| node).ok_or_else(astray)?)
                }
                _ => self.made(union.maker),
            },
            Node::Tagged(tagged) => match self.next()? {
                Entry::Pick(index) => {
                    self.node(tagged.choices.get(index as usize).map(|(_, node)| node).ok_or_else(astray)?)
                }
                _ => Err(astray()),
            },
            Node::Ref(target) => self.node(self.compiled.definitions.get(*target).ok_or_else(astray)?),
            Node::Opaque | Node::After(_) => Err(astray()),
        }
    }

    /// One value as it was sent, or as it was converted.
    fn raw(&mut self) -> Built<'py> {
        Ok(match self.next()? {
            Entry::Null => self.py.None().into_bound(self.py),
            Entry::Bool(bool) => PyBool::new(self.py, bool).to_owned().into_any(),
            Entry::Int(number) => number.into_pyobject(self.py)?.into_any(),
            Entry::Float(number) => PyFloat::new(self.py, number).into_any(),
            Entry::Text(span) => self.text(self.body, span)?,
            Entry::Own(span) => self.text(self.own, span)?,
            Entry::Big(span) => {
                let digits = self.text(self.own, span)?;
                self.py.get_type::<PyInt>().call1((digits,))?
            }
            Entry::Array(count) => self.list(count as usize, &Node::Any)?,
            Entry::Object(count) => self.pairs(count as usize, &Node::Any, &Node::Any)?.into_any(),
            Entry::Fields | Entry::Missing | Entry::Pick(_) | Entry::Raw => return Err(astray()),
        })
    }

    fn text(&self, source: &[u8], span: Span) -> Built<'py> {
        let start = span.start as usize;
        let text = source.get(start..start + span.length as usize).ok_or_else(astray)?;
        Ok(str_from_utf8(self.py, text)?.into_any())
    }

    fn array(&mut self) -> PyResult<usize> {
        match self.next()? {
            Entry::Array(count) => Ok(count as usize),
            _ => Err(astray()),
        }
    }

    fn object(&mut self) -> PyResult<usize> {
        match self.next()? {
            Entry::Object(count) => Ok(count as usize),
            _ => Err(astray()),
        }
    }

    /// A list, whose items are made while it is filled.
    fn list(&mut self, count: usize, node: &Node) -> Built<'py> {
        // No more than there can be, whatever the tape says.
        if count > self.rest.len() {
            return Err(astray());
        }
        let py = self.py;
        let builder = RefCell::new(self);
        Ok(PyList::new(py, (0..count).map(|_| Item { builder: &builder, node }))?.into_any())
    }

    fn items(&mut self, count: usize, node: &Node) -> PyResult<Vec<Bound<'py, PyAny>>> {
        // No more than there can be, whatever the tape says.
        let mut items = Vec::with_capacity(count.min(self.rest.len()));
        for _ in 0..count {
            items.push(self.node(node)?);
        }
        Ok(items)
    }

    fn pairs(&mut self, count: usize, keys: &Node, values: &Node) -> PyResult<Bound<'py, PyDict>> {
        let dict = dict_for(self.py, count.min(self.rest.len()))?;
        for _ in 0..count {
            let key = self.node(keys)?;
            dict.set_item(key, self.node(values)?)?;
        }
        Ok(dict)
    }

    fn fields(&mut self, fields: &Fields) -> Built<'py> {
        let Entry::Fields = self.next()? else { return Err(astray()) };
        let dict = dict_for(self.py, fields.fields.len())?;
        match fields.product {
            Product::Model { class, private_init, slots } => {
                // Made when a field is missing; without one it is all keys.
                let mut given = None;
                for field in &fields.fields {
                    let name = self.kept(field.name_object)?;
                    if self.take_missing() {
                        if given.is_none() {
                            given = Some(set_of_keys(&dict)?);
                        }
                        dict.set_item(name, self.default(&field.node)?.ok_or_else(astray)?)?;
                    } else {
                        dict.set_item(name, self.node(&field.node)?)?;
                        if let Some(given) = &given {
                            given.add(name)?;
                        }
                    }
                }
                let given = match given {
                    Some(given) => given,
                    None => set_of_keys(&dict)?,
                };
                let extra = self.extras(&fields.extra)?;
                if let Some(extra) = &extra {
                    for key in extra.keys() {
                        given.add(key)?;
                    }
                }
                let slots = self.compiled.slots.get(slots as usize).ok_or_else(astray)?;
                self.model(self.kept(class)?.cast()?, slots, &dict, extra, &given, private_init)
            }
            Product::Dict | Product::Dataclass { .. } => {
                for field in &fields.fields {
                    let name = self.kept(field.name_object)?;
                    let value = match self.take_missing() {
                        true => self.default(&field.node)?,
                        false => Some(self.node(&field.node)?),
                    };
                    if let Some(value) = value {
                        dict.set_item(name, value)?;
                    }
                }
                if let Some(extra) = self.extras(&fields.extra)? {
                    dict.update(extra.as_mapping())?;
                }
                let Product::Dataclass { class, dict: slot } = fields.product else {
                    return Ok(dict.into_any());
                };
                let made = new_instance(self.kept(class)?.cast()?)?;
                let slot = self.compiled.dict_slots.get(slot as usize).ok_or_else(astray)?;
                slot.set(&made, &dict)?;
                Ok(made)
            }
            Product::Other => Err(astray()),
        }
    }

    fn extras(&mut self, extra: &Extra) -> PyResult<Option<Bound<'py, PyDict>>> {
        let values = match extra {
            Extra::Ignore | Extra::Forbid(_) => return Ok(None),
            Extra::Keep => &Node::Any,
            Extra::Check(node) => node,
        };
        let count = self.object()?;
        self.pairs(count, &Node::Any, values).map(Some)
    }

    fn model(
        &self,
        class: &Bound<'py, PyType>,
        slots: &Slots,
        dict: &Bound<'py, PyDict>,
        extra: Option<Bound<'py, PyDict>>,
        given: &Bound<'py, PySet>,
        private_init: Option<Object>,
    ) -> Built<'py> {
        let none = self.py.None().into_bound(self.py);
        let model = new_instance(class)?;
        slots.dict.set(&model, dict)?;
        slots.extra.set(&model, extra.as_ref().map_or(&none, |extra| extra.as_any()))?;
        slots.private.set(&model, &none)?;
        slots.fields_set.set(&model, given)?;
        if let Some(name) = private_init {
            model.call_method1(self.kept(name)?.cast::<PyString>()?, (none,))?;
        }
        Ok(model)
    }

    /// The default of a missing value, if it has one.
    fn default(&self, node: &Node) -> PyResult<Option<Bound<'py, PyAny>>> {
        let Node::Default { default, .. } = node else { return Ok(None) };
        let py = self.py;
        Ok(match default {
            Default::Absent => None,
            Default::Same(value) => Some(self.kept(*value)?.clone()),
            Default::Copy(value) => {
                let value = self.kept(*value)?;
                // What a deep copy of an empty one is, 40 times sooner.
                if value.cast_exact::<PyList>().is_ok_and(|list| list.is_empty()) {
                    Some(PyList::empty(py).into_any())
                } else if value.cast_exact::<PyDict>().is_ok_and(|dict| dict.is_empty()) {
                    Some(PyDict::new(py).into_any())
                } else {
                    Some(self.compiled.deepcopy.bind(py).call1((value,))?)
                }
            }
            Default::Call(factory) => Some(self.kept(*factory)?.call0()?),
            Default::List => Some(PyList::empty(py).into_any()),
            Default::Dict => Some(PyDict::new(py).into_any()),
            Default::Set => Some(PySet::empty(py)?.into_any()),
        })
    }

    fn picked(&mut self, expected: &Expected, maker: Maker) -> Built<'py> {
        match self.next()? {
            Entry::Pick(index) => Ok(self.kept(Object(expected.first + index))?.clone()),
            _ => self.made(maker),
        }
    }

    /// What Pydantic makes of the value that was sent.
    fn made(&mut self, maker: Maker) -> Built<'py> {
        let value = self.raw()?;
        self.validate(self.maker(maker)?, value)
    }

    fn maker(&self, maker: Maker) -> PyResult<&'a Held<PyAny>> {
        self.compiled.makers.get(maker.0 as usize).ok_or_else(astray)
    }

    fn validate(&self, validate: &Held<PyAny>, value: Bound<'py, PyAny>) -> Built<'py> {
        let names = self.compiled.from_attributes.bind(self.py);
        let yes = PyBool::new(self.py, true);
        call_with_keyword(validate.bind(self.py), &value, names, &yes)
    }

    fn kept(&self, object: Object) -> PyResult<&'a Bound<'py, PyAny>> {
        Ok(self.compiled.objects.get(object.0 as usize).ok_or_else(astray)?.bind(self.py))
    }
}

/// An item of a list that is being filled.
struct Item<'l, 'a, 'py> {
    builder: &'l RefCell<&'l mut Builder<'a, 'py>>,
    node: &'l Node,
}

impl<'py> IntoPyObject<'py> for Item<'_, '_, 'py> {
    type Target = PyAny;
    type Output = Bound<'py, PyAny>;
    type Error = PyErr;

    fn into_pyobject(self, _py: Python<'py>) -> Built<'py> {
        self.builder.borrow_mut().node(self.node)
    }
}

/// The tape is not one of this schema and this body.
fn astray() -> PyErr {
    PyAssertionError::new_err("a tape of another schema or of another body")
}
