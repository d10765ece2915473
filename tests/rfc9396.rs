//! RFC 9396, Rich Authorization Requests: its sentences, each with the test that holds the library to it.
#![allow(clippy::doc_markdown)] // the sentences stand as the RFC prints them

use proofkey_core::{Authorization, Callback, Error, Exchange, Usage};
use serde::Serialize;
use serde_json::{Value, json};

mod support;

use support::{CODE, NOW, Octets, STATE, answered, client, values};

/// What stands in the URL, read as JSON again.
fn asked(login: Authorization) -> Result<Vec<Value>, Error> {
    let (url, _) = login.redirect(NOW, &mut Octets::appendix_b())?;
    let found = values(url.query().expect("a query"), "authorization_details");
    Ok(found.iter().map(|details| serde_json::from_str(details).expect("JSON")).collect())
}

/// An application's own type, as section 2 has its first example.
#[derive(Serialize)]
struct Payment {
    r#type: &'static str,
    locations: [&'static str; 1],
    #[serde(rename = "instructedAmount")]
    amount: Amount,
    #[serde(rename = "creditorName")]
    creditor: &'static str,
}

#[derive(Serialize)]
struct Amount {
    currency: &'static str,
    amount: &'static str,
}

const PAYMENT: Payment = Payment {
    r#type: "payment_initiation",
    locations: ["https://example.com/payments"],
    amount: Amount { currency: "EUR", amount: "123.50" },
    creditor: "Merchant A & Söhne +\"1\"",
};

/// Section 2: "The request parameter authorization_details contains, in JSON notation, an array of objects." It is written
/// once, and arrives as it was meant.
#[test]
fn s2_an_array_of_objects_in_json() {
    let expected = json!([{
        "type": "payment_initiation",
        "locations": ["https://example.com/payments"],
        "instructedAmount": { "currency": "EUR", "amount": "123.50" },
        "creditorName": "Merchant A & Söhne +\"1\"",
    }]);
    for login in
        [client().authorize().details(&[PAYMENT]), client().authorize().details(expected.as_array().expect("a list"))]
    {
        assert_eq!(asked(login).unwrap(), std::slice::from_ref(&expected));
    }
}

/// Section 2: "type: An identifier for the authorization details type as a string." And: "This field is REQUIRED."
#[test]
fn s2_each_has_a_type() {
    for details in [
        vec![json!({})],
        vec![json!({ "actions": ["read"] })],
        vec![json!({ "type": 1 })],
        vec![json!({ "type": null })],
        vec![json!({ "type": ["payment_initiation"] })],
        vec![json!({ "Type": "payment_initiation" })],
        vec![json!({ "type": "payment_initiation" }), json!({ "actions": [] })],
        vec![json!("payment_initiation")],
        vec![json!([{ "type": "payment_initiation" }])],
        vec![json!(null)],
        vec![],
    ] {
        let mut octets = Octets::appendix_b();
        let refused = client().authorize().details(&details).redirect(NOW, &mut octets).unwrap_err();
        assert!(matches!(refused, Error::Usage(Usage::Details)), "{details:?}");
        let said = "authorization_details must be a list of objects that each have a type";
        assert_eq!((refused.to_string().as_str(), octets.drawn), (said, 0), "{details:?}");
    }
}

/// What cannot be JSON at all is refused in the same way: a map whose keys are no strings.
#[test]
fn s2_what_is_no_json_is_refused() {
    let odd = std::collections::BTreeMap::from([(vec![1], "payment_initiation")]);
    let refused = client().authorize().details(&[odd]).redirect(NOW, &mut Octets::appendix_b());
    assert!(matches!(refused, Err(Error::Usage(Usage::Details))));
}

/// Section 2: "An authorization_details array MAY contain multiple entries of the same type."
#[test]
fn s2_entries_of_the_same_type() {
    let details = [json!({ "type": "account", "id": 1 }), json!({ "type": "account", "id": 2 })];
    assert_eq!(asked(client().authorize().details(&details)).unwrap(), [json!(details)]);
    // Asked for twice, the last is asked for: a parameter cannot stand twice.
    let login = client().authorize().details(&details[..1]).details(&details[1..]);
    assert_eq!(asked(login).unwrap(), [json!([details[1]])]);
}

/// Section 3: "The authorization_details authorization request parameter can be used to specify authorization requirements
/// in all places where the scope parameter is used for the same purpose". Beside scope and resource, too.
#[test]
fn s3_beside_scope_and_resource() {
    let login = client().authorize().scope(["photos"]).resource("https://rs.example.com/").details(&[PAYMENT]);
    let (url, _) = login.redirect(NOW, &mut Octets::appendix_b()).unwrap();
    for (name, count) in [("scope", 1), ("resource", 1), ("authorization_details", 1), ("state", 1)] {
        assert_eq!(values(url.query().unwrap(), name).len(), count, "{name}");
    }
    let by_hand = client().authorize().param("authorization_details", "[]").redirect(NOW, &mut Octets::appendix_b());
    assert!(matches!(by_hand, Err(Error::Usage(Usage::OwnedParameter(_)))));
    assert!(asked(client().authorize()).unwrap().is_empty());
}

/// Section 5: "The AS MUST abort processing and respond with an error invalid_authorization_details to the client".
#[test]
fn s5_the_refusal_is_told() {
    let (_, pending) = client().authorize().details(&[PAYMENT]).redirect(NOW, &mut Octets::appendix_b()).unwrap();
    let query = format!("error=invalid_authorization_details&state={STATE}");
    let Err(Error::Server(error)) = pending.accept(Callback::parse(&query).unwrap()) else { panic!("no refusal") };
    assert_eq!(error.code.as_str(), "invalid_authorization_details");
}

/// Section 6: the details stay with the grant, so the token request names them no more.
#[test]
fn s6_the_token_request_asks_for_all_of_it() {
    let client = client();
    let (_, pending) = client.authorize().details(&[PAYMENT]).redirect(NOW, &mut Octets::appendix_b()).unwrap();
    let grant = pending.accept(Callback::parse(&format!("code={CODE}&state={STATE}")).unwrap()).unwrap();
    let request = client.exchange(grant).next_request(NOW, &mut Octets::appendix_b()).unwrap();
    assert!(values(request.body(), "authorization_details").is_empty());
}

/// Section 7: "the AS MUST also return the authorization_details as granted by the resource owner and assigned to the
/// respective access token." What was granted may be less, or say more, than what was asked for.
#[test]
fn s7_what_was_granted_is_told() {
    let granted = json!([{ "type": "account", "access": { "accounts": [{ "iban": "DE2310010010123456789" }] } }]);
    let body =
        json!({ "access_token": "2YotnFZFEjr1zCsicMWpAA", "token_type": "Bearer", "authorization_details": granted });
    let tokens = answered(&client(), 200, &[], body.to_string()).unwrap();
    assert_eq!(tokens.extra().get::<Value>("authorization_details"), Some(granted));
    // An account number is nobody's business in a log.
    assert!(!format!("{tokens:?}").contains("DE2310010010123456789"));
}
