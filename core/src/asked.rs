//! What a request asks for: scope (RFC 6749 section 3.3), resources (RFC 8707), and what only the provider understands.
//!
//! ```text
//! ..&scope=photos%20profile&resource=https%3A%2F%2Fapi.example.com&audience=..
//! ```
//!
//! Mistakes are kept until the request is written, so that the calls that make one can be chained.

use std::fmt;

use crate::error::Usage;
use crate::form::Form;
use crate::parameter::Parameters;
use crate::scope::Scope;
use crate::uri;

/// The part of a request that the caller chooses.
#[derive(Default)]
pub(crate) struct Asked {
    pub(crate) scope: Scope,
    pub(crate) resources: Vec<String>,
    pub(crate) parameters: Parameters,
    pub(crate) mistake: Option<Usage>,
}

impl Asked {
    pub(crate) fn scope<I: IntoIterator<Item: AsRef<str>>>(&mut self, tokens: I) {
        for token in tokens {
            if !self.scope.add(token.as_ref()) {
                self.mistake = Some(Usage::Scope);
            }
        }
    }

    /// RFC 8707 section 2: "Its value MUST be an absolute URI", without a fragment.
    pub(crate) fn resource(&mut self, resource: String) {
        if let Err(why) = uri::absolute(&resource) {
            self.mistake = Some(Usage::Resource(why));
        }
        self.resources.push(resource);
    }

    /// Writes all of it, if there was no mistake.
    pub(crate) fn write(&self, form: &mut Form) -> Result<(), Usage> {
        if let Some(mistake) = &self.mistake {
            return Err(mistake.clone());
        }
        if !self.scope.is_empty() {
            form.pair("scope", self.scope.as_str());
        }
        for resource in &self.resources {
            form.pair("resource", resource);
        }
        self.parameters.write(form)
    }

    /// Whether scope is all that is asked for, and in order.
    pub(crate) fn is_scope(&self) -> bool {
        self.mistake.is_none() && self.resources.is_empty() && self.parameters.is_empty()
    }

    /// The scope, taken out; `None` if none was asked for.
    pub(crate) fn take_scope(&mut self) -> Option<Scope> {
        (!self.scope.is_empty()).then(|| std::mem::take(&mut self.scope))
    }
}

/// Shows no resource's query: it may hold a key.
impl fmt::Debug for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asked")
            .field("scope", &self.scope)
            .field("resources", &self.resources.iter().map(|resource| uri::shown(resource)).collect::<Vec<_>>())
            .field("parameters", &self.parameters)
            .field("mistake", &self.mistake)
            .finish()
    }
}
