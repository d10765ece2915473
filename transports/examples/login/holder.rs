//! Tokens after the login: kept, reused, renewed and used. A `Session` does this for many threads; here it can be seen.

use std::time::Duration;

use http::Request;
use proofkey::{Client, Error, Remedy, Session, Tokens, Usage, blocking};

use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::http::Http;
use crate::report::Called;
use crate::story::Story;
use crate::{store, time_left};

pub(crate) struct Holder<'a> {
    pub(crate) arguments: &'a Arguments,
    pub(crate) http: &'a Http,
    pub(crate) client: &'a Client,
    pub(crate) story: &'a Story,
}

impl Holder<'_> {
    /// Stored tokens, renewed if they are not good for long enough; `None` if a person has to log in.
    pub(crate) fn reuse(&self, tokens: Tokens) -> Result<Option<Tokens>, Failure> {
        match self.client.refresh(&tokens) {
            Err(Error::Usage(Usage::OtherServer | Usage::OtherClient)) => {
                self.story
                    .tell("kept", "the stored tokens are another server's or client's: unused, and to be replaced");
                return Ok(None);
            }
            Err(Error::Usage(Usage::NoRefreshToken)) | Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
        let mut asked = self.arguments.scope.iter().flat_map(|scope| scope.split_whitespace());
        if asked.any(|scope| tokens.scope().is_some_and(|granted| !granted.contains(scope))) {
            self.story.tell("kept", "the stored tokens have less scope than is asked for: unused, and to be replaced");
            return Ok(None);
        }
        let at_least = Duration::from_secs(self.arguments.min_validity);
        if time_left(&tokens).is_none_or(|left| left > at_least) {
            self.story.tell("kept", "tokens from the store; nobody needs to log in");
            return Ok(Some(tokens));
        }
        self.story.tell("kept", "tokens from the store, to be renewed");
        match self.try_renew(&tokens) {
            Ok(tokens) => {
                if let Some(left) = time_left(&tokens).filter(|left| *left < at_least) {
                    self.story.tell("short", format_args!("the new ones are good for {} seconds only", left.as_secs()));
                }
                Ok(Some(tokens))
            }
            Err(error) if error.remedy() == Remedy::LogInAgain => {
                self.story.tell("ended", format_args!("{error}; so somebody has to log in"));
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    pub(crate) fn renew(&self, tokens: &Tokens) -> Result<Tokens, Failure> {
        self.try_renew(tokens).map_err(Failure::from)
    }

    fn try_renew(&self, tokens: &Tokens) -> Result<Tokens, blocking::Error> {
        let renewed = self.http.run(self.client.refresh(tokens)?)?;
        // First of all: the server may have taken the old refresh token for the last time.
        match self.keep(&renewed) {
            Ok(()) => self.story.tell("refreshed", "the refresh token for new tokens"),
            Err(failure) => self.story.tell("refreshed", format_args!("but not stored: {}", failure.what)),
        }
        Ok(renewed)
    }

    /// Stores the tokens, if they are to be.
    pub(crate) fn keep(&self, tokens: &Tokens) -> Result<(), Failure> {
        let Some(file) = &self.arguments.store else { return Ok(()) };
        store::save(file, tokens)?;
        self.story.tell("stored", file.display());
        Ok(())
    }

    /// Sends a GET with the token; once more, with a renewed one, if the resource says that this one is no good.
    pub(crate) fn call(&self, tokens: &mut Tokens, url: &str) -> Result<Called, Failure> {
        let get = || Request::get(url).body(Vec::new()).map_err(|_| Failure::other(format!("{url:?} is not a URL")));
        let mut response = self.http.run(self.client.call(tokens, get()?))?;
        if Session::is_rejection(&response) && tokens.refresh_token().is_some() {
            *tokens = self.renew(tokens)?;
            response = self.http.run(self.client.call(tokens, get()?))?;
        }
        let status = response.status().as_u16();
        let mut body = String::from_utf8_lossy(response.body()).trim().to_owned();
        if !self.arguments.show_secrets {
            // Some resources tell what they were sent.
            body = body.replace(tokens.access_token().expose(), "[redacted]");
        }
        let mut start: String = body.chars().filter(|character| !character.is_control()).take(LONGEST_LINE).collect();
        if start.len() < body.len() {
            start.push('…');
        }
        self.story.tell("called", format_args!("{url} with the token: {status} {start}"));
        Ok(Called { status, body })
    }
}

/// How much of an answer fits into the story, in characters.
const LONGEST_LINE: usize = 160;
