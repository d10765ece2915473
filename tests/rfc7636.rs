//! RFC 7636, Proof Key for Code Exchange: its sentences, each with the test that holds the library to it.
#![allow(clippy::doc_markdown)] // the sentences stand as the RFC prints them

use proofkey_core::{Callback, Client, Error, Exchange, Usage, Verifier};

mod support;

use support::{
    APPENDIX_B, CHALLENGE, CODE, NOW, Octets, STATE, VERIFIER, client, grant, server, token_request, values,
};

/// Section 4.1: "The client first creates a code verifier, "code_verifier", for each OAuth 2.0 [RFC6749] Authorization
/// Request".
#[test]
fn s4_1_a_verifier_for_each_request() {
    let client = client();
    let mut rng = Octets::new((0..=255).collect::<Vec<u8>>());
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..4 {
        let (url, pending) = client.authorize().redirect(NOW, &mut rng).unwrap();
        seen.extend(values(url.query().unwrap(), "code_challenge"));
        seen.extend(values(url.query().unwrap(), "state"));
        assert_eq!(pending.state(), values(url.query().unwrap(), "state")[0]);
    }
    assert_eq!(seen.len(), 8, "a challenge or a state came twice");
}

/// Section 4.1: "code_verifier = high-entropy cryptographic random STRING using the unreserved characters
/// [A-Z] / [a-z] / [0-9] / "-" / "." / "_" / "~" from Section 2.3 of [RFC3986], with a minimum length of 43 characters and
/// a maximum length of 128 characters."
#[test]
fn s4_1_the_grammar_of_a_verifier() {
    for good in ["a".repeat(43), "~".repeat(128), "AZaz09-._~".repeat(5)] {
        assert_eq!(Verifier::new(good.as_str()).unwrap().expose(), good);
    }
    let mut bad = vec![String::new(), "a".repeat(42), "a".repeat(129), "é".repeat(43)];
    bad.extend((0..=127).filter(|byte: &u8| !byte.is_ascii_alphanumeric() && !b"-._~".contains(byte)).map(|byte| {
        let mut text = "a".repeat(42);
        text.push(char::from(byte));
        text
    }));
    for text in bad {
        assert!(matches!(Verifier::new(text.as_str()), Err(Error::Usage(Usage::Verifier))), "{text:?}");
    }
    for octets in [[0; 32], [0xFF; 32], [0xFB; 32]] {
        let generated = Verifier::generate(&mut Octets::new(octets));
        assert!(Verifier::new(generated.expose()).is_ok(), "{octets:?}");
    }
}

/// Section 4.1: "It is RECOMMENDED that the output of a suitable random number generator be used to create a 32-octet
/// sequence. The octet sequence is then base64url-encoded to produce a 43-octet URL safe string to use as the code
/// verifier."
#[test]
fn s4_1_a_verifier_is_32_octets_in_base64url() {
    let mut rng = Octets::appendix_b();
    let verifier = Verifier::generate(&mut rng);
    assert_eq!((verifier.expose().len(), rng.drawn), (43, 32));
}

/// Section 4.2: "S256 code_challenge = BASE64URL-ENCODE(SHA256(ASCII(code_verifier)))".
#[test]
fn s4_2_the_challenge_is_the_hash_of_the_text() {
    // The first is appendix B's; the others were computed with `openssl dgst -sha256 -binary | basenc --base64url`.
    for (verifier, challenge) in [
        (VERIFIER, CHALLENGE),
        ("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "ZtNPunH49FD35FWYhT5Tv8I7vRKQJ8uxMaL0_9eHjNA"),
        ("~.~.~.~.~.~.~.~.~.~.~.~.~.~.~.~.~.~.~.~.~.~.", "FUxUskHiHQlENyq1ZF-sAWbx7A0PCWYvTohKfTlB_XI"),
    ] {
        assert_eq!(Verifier::new(verifier).unwrap().challenge().as_str(), challenge);
    }
}

/// Section 4.2: "If the client is capable of using "S256", it MUST use "S256", as "S256" is Mandatory To Implement (MTI)
/// on the server."
#[test]
fn s4_2_the_method_is_s256() {
    let (url, _) = client().authorize().redirect(NOW, &mut Octets::appendix_b()).unwrap();
    assert_eq!(values(url.query().unwrap(), "code_challenge_method"), ["S256"]);
    for (name, value) in [("code_challenge_method", "plain"), ("code_challenge", VERIFIER)] {
        let refused = client().authorize().param(name, value).redirect(NOW, &mut Octets::appendix_b());
        assert!(matches!(refused, Err(Error::Usage(Usage::OwnedParameter(owned))) if owned == name));
    }
}

/// Section 4.3: "code_challenge REQUIRED. Code challenge."
#[test]
fn s4_3_the_challenge_is_sent_and_the_verifier_is_not() {
    let (url, _) = client().authorize().redirect(NOW, &mut Octets::appendix_b()).unwrap();
    assert_eq!(values(url.query().unwrap(), "code_challenge"), [CHALLENGE]);
    assert!(!url.as_str().contains(VERIFIER));
}

/// Section 4.5: "In addition to the parameters defined in the OAuth 2.0 Access Token Request (Section 4.1.3 of [RFC6749]),
/// it sends the following parameter: code_verifier REQUIRED. Code verifier".
#[test]
fn s4_5_the_verifier_is_sent_with_the_code_once() {
    let confidential = Client::builder(server(), "s6BhdRkqt3")
        .redirect_uri(support::REDIRECT_URI)
        .authentication(proofkey_core::Authentication::basic("secret"));
    for client in [client(), confidential.build().unwrap()] {
        let request = token_request(&client);
        assert_eq!(values(request.body(), "code_verifier"), [VERIFIER]);
        assert!(!request.uri().to_string().contains(VERIFIER));
    }
}

/// Section 7.1: "The client SHOULD create a "code_verifier" with a minimum of 256 bits of entropy."
#[test]
fn s7_1_each_octet_of_the_generator_counts() {
    let client = client();
    let challenge = |octets: [u8; 32]| {
        let (url, _) = client.authorize().redirect(NOW, &mut Octets::new(octets)).unwrap();
        values(url.query().unwrap(), "code_challenge").remove(0)
    };
    for bit in 0..256 {
        let mut octets = APPENDIX_B;
        octets[bit / 8] ^= 1 << (bit % 8);
        assert_ne!(challenge(octets), CHALLENGE, "bit {bit}");
    }
}

/// Section 7.2: "Clients MUST NOT downgrade to "plain" after trying the "S256" method."
#[test]
fn s7_2_a_refusal_ends_the_exchange() {
    let client = client();
    let mut exchange = client.exchange(grant(&client));
    let _request = exchange.next_request(NOW, &mut Octets::appendix_b()).unwrap();
    let body = br#"{"error":"invalid_request","error_description":"transform algorithm not supported"}"#;
    let refused = exchange.handle_response(support::response(400, &[], body.to_vec()));
    assert!(matches!(refused, Err(Error::Server(_))));
    let again = exchange.next_request(NOW, &mut Octets::appendix_b());
    assert!(matches!(again, Err(Error::Usage(Usage::OutOfTurn))));
}

/// Appendix B: "The client uses output of a suitable random number generator to create a 32-octet sequence. The octets
/// representing the value in this example (using JSON array notation) are": they go in, and the appendix's challenge and
/// verifier come out of the two requests.
#[test]
fn appendix_b() {
    let client = client();
    let (url, pending) = client.authorize().redirect(NOW, &mut Octets::appendix_b()).unwrap();
    assert_eq!(values(url.query().unwrap(), "code_challenge"), ["E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"]);
    let grant = pending.accept(Callback::parse(&format!("code={CODE}&state={STATE}")).unwrap()).unwrap();
    let request = client.exchange(grant).next_request(NOW, &mut Octets::appendix_b()).unwrap();
    assert_eq!(values(request.body(), "code_verifier"), ["dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"]);

    let verifier = Verifier::generate(&mut Octets::appendix_b());
    assert_eq!(verifier.expose(), "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
    assert_eq!(verifier.challenge().as_str(), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
}
