//! The format: a case, its blanks, its bodies in segments.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// One row of a file.
#[derive(Clone, Deserialize)]
pub(crate) struct Case {
    pub(crate) id: String,
    pub(crate) area: String,
    pub(crate) title: String,
    pub(crate) input: Map<String, Value>,
    pub(crate) expected: Expected,
}

#[derive(Clone, Deserialize)]
pub(crate) struct Expected {
    pub(crate) verdict: String,
    /// Any one of them is right.
    pub(crate) class: Vec<String>,
    /// What must hold afterwards.
    #[serde(default)]
    pub(crate) post: Vec<String>,
    #[serde(default)]
    pub(crate) detail: Option<String>,
}

impl Case {
    pub(crate) fn kind(&self) -> &str {
        self.text("kind").unwrap_or_default()
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.input.get(name)?.as_str()
    }

    /// The steps of a sequence; none for other kinds.
    pub(crate) fn steps(&self) -> impl Iterator<Item = &Map<String, Value>> {
        self.input.get("steps").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object)
    }
}

/// Refuses an input with a member that nobody here would look at.
pub(crate) fn only(input: &Map<String, Value>, known: &[&str]) -> Result<(), String> {
    match input.keys().find(|name| !known.contains(&name.as_str())) {
        Some(name) => Err(format!("cannot be played: input has an unknown member {name:?}")),
        None => Ok(()),
    }
}

/// What stands for `{STATE}` and its like in this moment of a play.
pub(crate) struct Blanks(pub(crate) BTreeMap<&'static str, String>);

impl Blanks {
    pub(crate) fn fill(&self, text: &str) -> Result<String, String> {
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            filled.push_str(before);
            rest = if let Some((name, after)) = after.split_once('}').filter(|(name, _)| is_placeholder(name)) {
                filled.push_str(&self.value(name)?);
                after
            } else {
                filled.push('{');
                after
            };
        }
        Ok(filled + rest)
    }

    fn value(&self, placeholder: &str) -> Result<String, String> {
        let unknown = || format!("cannot be played: unknown placeholder {{{placeholder}}}");
        let (name, op) = placeholder.split_once(':').unwrap_or((placeholder, ""));
        if let Some(sum) = name.strip_prefix("NOW").filter(|sum| !sum.is_empty()) {
            let now: i64 = self.0["NOW"].parse().map_err(|_| unknown())?;
            let more: i64 = sum.parse().map_err(|_| unknown())?;
            return Ok(now.saturating_add(more).to_string());
        }
        let value = self.0.get(name).ok_or_else(unknown)?;
        if op.is_empty() { Ok(value.clone()) } else { altered(value, op).ok_or_else(unknown) }
    }

    /// A text or a list of segments, as bytes.
    pub(crate) fn bytes(&self, value: &Value) -> Result<Vec<u8>, String> {
        match value {
            Value::Null => Ok(Vec::new()),
            Value::String(text) => Ok(self.fill(text)?.into_bytes()),
            Value::Array(segments) => {
                let parts: Result<Vec<_>, _> = segments.iter().map(|segment| self.bytes(segment)).collect();
                Ok(parts?.concat())
            }
            Value::Object(segment) => self.segment(segment),
            Value::Bool(_) | Value::Number(_) => Err(format!("cannot be played: unknown body {value}")),
        }
    }

    fn segment(&self, segment: &Map<String, Value>) -> Result<Vec<u8>, String> {
        let strange = || format!("cannot be played: unknown segment {}", Value::from(segment.clone()));
        let text = |name: &str| segment.get(name).and_then(Value::as_str);
        let times = segment.get("times").and_then(Value::as_u64).and_then(|times| usize::try_from(times).ok());
        let mut names: Vec<&str> = segment.keys().map(String::as_str).collect();
        names.sort_unstable();
        match names.as_slice() {
            ["lit"] => Ok(self.fill(text("lit").ok_or_else(strange)?)?.into_bytes()),
            ["hex"] => unhex(text("hex").ok_or_else(strange)?).ok_or_else(strange),
            ["repeat", "times"] => {
                Ok(self.fill(text("repeat").ok_or_else(strange)?)?.repeat(times.ok_or_else(strange)?).into_bytes())
            }
            ["counter", "times"] => {
                let pattern = self.fill(text("counter").ok_or_else(strange)?)?;
                let count = 0..times.ok_or_else(strange)?;
                Ok(count.flat_map(|n| pattern.replace("%d", &n.to_string()).into_bytes()).collect())
            }
            ["utf16le"] => {
                let text = self.fill(text("utf16le").ok_or_else(strange)?)?;
                Ok(text.encode_utf16().flat_map(u16::to_le_bytes).collect())
            }
            ["jwt"] => Ok(self.with_id_token(&segment["jwt"])?.to_string().into_bytes()),
            _ => Err(strange()),
        }
    }

    /// A token answer with an ID token of these claims. Its signature is nobody's.
    fn with_id_token(&self, claims: &Value) -> Result<Value, String> {
        let mut claims = claims.clone();
        for claim in claims.as_object_mut().into_iter().flat_map(Map::values_mut) {
            let Some(text) = claim.as_str() else { continue };
            let filled = self.fill(text)?;
            *claim = match filled.parse::<i64>() {
                Ok(number) if text.starts_with("{NOW") => number.into(),
                _ => filled.into(),
            };
        }
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let jwt = format!("{}.{}.c2ln", part(&json!({"alg": "ES256"})), part(&claims));
        Ok(
            json!({"access_token": "2YotnFZFEjr1zCsicMWpAA", "token_type": "Bearer", "expires_in": 3600, "id_token": jwt}),
        )
    }
}

/// `{CODE}`, `{STATE:flip_last}`, `{NOW+300}`, and not what JSON puts between braces.
fn is_placeholder(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_uppercase())
        && name.len() <= 40
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_:+-".contains(&byte))
}

/// The text, altered in the way that `op` names.
fn altered(text: &str, op: &str) -> Option<String> {
    let flip = |byte: u8| if byte == b'A' { 'B' } else { 'A' };
    let percent = |text: &str| text.bytes().fold(String::new(), |out, byte| format!("{out}%{byte:02X}"));
    let (first, last) = (*text.as_bytes().first()?, *text.as_bytes().last()?);
    Some(match op {
        "flip_first" => format!("{}{}", flip(first), &text[1..]),
        "flip_last" => format!("{}{}", &text[..text.len() - 1], flip(last)),
        "prefix_half" => text[..text.len() / 2].to_owned(),
        "swapcase" => text
            .chars()
            .map(|c| if c.is_ascii_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() })
            .collect(),
        "pct_all" => percent(text),
        "pct_all_twice" => percent(&percent(text)),
        _ => return None,
    })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<_>> = text.chars().filter(|c| *c != ' ').map(|c| c.to_digit(16)).collect();
    let (pairs, odd) = digits.as_ref()?.as_chunks::<2>();
    let bytes = pairs.iter().map(|[high, low]| u8::try_from(high << 4 | low).ok()).collect();
    if odd.is_empty() { bytes } else { None }
}
