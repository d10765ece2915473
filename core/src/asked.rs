//! What a request asks for: scope (RFC 6749 section 3.3), resources (RFC 8707), and what only the provider understands.
//!
//! ```text
//! ..&scope=photos%20profile&resource=https%3A%2F%2Fapi.example.com&audience=..
//! ```
//!
//! Mistakes are kept until the request is written, so that the calls that make one can be chained.

use std::fmt;
use std::ops::Deref;

use crate::error::Usage;
use crate::form::Form;
use crate::parameter::Parameters;
use crate::scope::Scope;
use crate::uri;

/// The part of a request that the caller chooses.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    pub(crate) scope: Scope,
    pub(crate) resources: Resources,
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
        self.resources.0.push(resource);
    }

    /// Writes all of it, if there was no mistake.
    pub(crate) fn write(&self, form: &mut Form) -> Result<(), Usage> {
        if let Some(mistake) = &self.mistake {
            return Err(mistake.clone());
        }
        if !self.scope.is_empty() {
            form.pair("scope", self.scope.as_str());
        }
        for resource in self.resources.iter() {
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

/// Resources, as URIs. What is printed of them is without query, which may hold a key.
#[derive(Clone, Default)]
pub(crate) struct Resources(pub(crate) Vec<String>);

impl Deref for Resources {
    type Target = [String];

    fn deref(&self) -> &[String] {
        &self.0
    }
}

impl fmt::Debug for Resources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(|resource| uri::shown(resource))).finish()
    }
}
