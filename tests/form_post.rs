//! OAuth 2.0 Form Post Response Mode: its sentences, each with the test that holds the library to it.

use proofkey_core::{Callback, CallbackError, Error};

mod support;

use support::{CODE, NOW, Octets, STATE, client, values};

/// Section 1: "In this mode, Authorization Response parameters are encoded as HTML form values that are auto-submitted in
/// the User Agent, and thus are transmitted via the HTTP POST method to the Client, with the result parameters being
/// encoded in the body using the application/x-www-form-urlencoded format."
#[test]
fn the_answer_is_a_forms_body() {
    let (url, pending) = client().authorize().form_post().redirect(NOW, &mut Octets::appendix_b()).unwrap();
    assert_eq!(values(url.query().unwrap(), "response_mode"), ["form_post"]);
    assert_eq!(values(url.query().unwrap(), "response_type"), ["code"]);
    let body = format!("state={STATE}&code=a%2Bb%2Fc%3D+d&session_state=x%20y");
    let grant = pending.accept(Callback::parse(&body).unwrap()).unwrap();
    let client = client();
    let request = proofkey_core::Exchange::next_request(&mut client.exchange(grant), NOW, &mut Octets::appendix_b());
    assert_eq!(values(request.unwrap().body(), "code"), ["a+b/c= d"]);
}

/// It is asked for by its own word only, and only where it was asked for.
#[test]
fn it_is_asked_for_by_name() {
    let (url, _) = client().authorize().redirect(NOW, &mut Octets::appendix_b()).unwrap();
    assert!(values(url.query().unwrap(), "response_mode").is_empty());
    let (url, _) = client().authorize().form_post().form_post().redirect(NOW, &mut Octets::appendix_b()).unwrap();
    assert_eq!(values(url.query().unwrap(), "response_mode").len(), 1);
    for mode in ["form_post", "fragment", "query.jwt", "web_message"] {
        let by_hand = client().authorize().param("response_mode", mode).redirect(NOW, &mut Octets::appendix_b());
        let said = "parameter \"response_mode\" is set by the library and cannot be given as an extra one";
        assert_eq!(by_hand.unwrap_err().to_string(), said);
    }
}

/// Whatever a form can do that a query cannot, the same rules hold.
#[test]
fn a_form_is_judged_as_a_query_is() {
    for (body, said) in [
        (format!("code={CODE}&state={STATE}&state={STATE}"), CallbackError::Repeated("state")),
        (format!("code={CODE}&code={CODE}&state={STATE}"), CallbackError::Repeated("code")),
        (format!("code={CODE}&error=access_denied&state={STATE}"), CallbackError::CodeAndError),
        (format!("access_token=a&token_type=Bearer&state={STATE}"), CallbackError::Unexpected("access_token")),
        (format!("id_token=a&code={CODE}&state={STATE}"), CallbackError::Unexpected("id_token")),
        (format!("state={STATE}"), CallbackError::Missing),
        (format!("code={CODE}&state=%C0%AF"), CallbackError::NotUtf8),
    ] {
        assert!(matches!(Callback::parse(&body), Err(Error::Callback(error)) if error == said), "{body}");
    }
    let (_, pending) = client().authorize().form_post().redirect(NOW, &mut Octets::appendix_b()).unwrap();
    let other = Callback::parse(&format!("code={CODE}&state=another")).unwrap();
    assert!(matches!(pending.accept(other), Err(Error::Callback(CallbackError::State))));
}
