//! A small script language with questions to the host.
//!
//! One statement a line: `name = ask("Who?")`, `a, b = ask_all("One?", "Two?")`, `done("Hello {name}")`, `fail("No
//! {ctx.thing}")`. Texts are JSON; `{name}` and `{ctx.key}` are filled in. A line beginning with `#` is a comment, and
//! a script without `done` returns null.

use rekindle::protocol::{FeedResult, Finish, Query};
use serde_json::{Value, json};
use std::collections::HashMap;

/// A script that runs until a question, and continues with the answer.
#[derive(Debug)]
pub(crate) struct Session {
    script: Vec<String>,
    /// The index of the next line.
    at: usize,
    values: HashMap<String, String>,
    ctx: Value,
    open: Vec<Open>,
    asked: usize,
    history: Vec<Value>,
}

/// An open query, and the variable for the answer.
#[derive(Debug)]
struct Open {
    id: String,
    variable: String,
    answered: bool,
}

/// The effect of a statement.
enum Step {
    On,
    Stop(FeedResult),
}

impl Session {
    /// Begins a script.
    pub(crate) fn begin(code: &str, ctx: Value) -> (Self, FeedResult) {
        let mut session = Self {
            script: code.lines().map(|line| line.trim().to_owned()).collect(),
            at: 0,
            values: HashMap::new(),
            ctx,
            open: Vec::new(),
            asked: 0,
            history: Vec::new(),
        };
        let result = session.continue_session();
        (session, result)
    }

    /// Takes the answer to the named query, or to the only open query.
    pub(crate) fn answer(
        &mut self,
        query: Option<&str>,
        response: &str,
        usage: &Value,
    ) -> Result<FeedResult, String> {
        let mut fitting = self.open.iter_mut().filter(|open| !open.answered);
        let open = match query {
            Some(id) => fitting.find(|open| open.id == id),
            None => fitting.next().filter(|_| fitting.next().is_none()),
        };
        let open = open.ok_or_else(|| match query {
            Some(id) => format!("query `{id}` is not open"),
            None => "several queries are open; name one with query_id".to_owned(),
        })?;
        open.answered = true;
        self.values.insert(open.variable.clone(), response.to_owned());
        self.history.push(json!({ "role": "host", "query_id": open.id, "text": response, "usage": usage }));
        let remaining = self.open.iter().filter(|open| !open.answered).count();
        Ok(if remaining > 0 {
            FeedResult::Accepted { remaining: remaining as u64 }
        } else {
            self.continue_session()
        })
    }

    /// Whether the session waits for an answer.
    pub(crate) fn is_paused(&self) -> bool {
        !self.open.is_empty()
    }

    /// All questions and answers so far.
    pub(crate) fn history(&self) -> Value {
        Value::Array(self.history.clone())
    }

    fn continue_session(&mut self) -> FeedResult {
        self.open.clear();
        while let Some(line) = self.script.get(self.at).cloned() {
            self.at += 1;
            match self.step(&line) {
                Ok(Step::On) => {}
                Ok(Step::Stop(result)) => return result,
                Err(why) => return self.failed(format!("line {}: {why}", self.at)),
            }
        }
        self.finished(Finish::Completed { result: Value::Null })
    }

    fn step(&mut self, line: &str) -> Result<Step, String> {
        if line.is_empty() || line.starts_with('#') {
            return Ok(Step::On);
        }
        let (variables, name, texts) = parse(line)?;
        let texts = texts.iter().map(|text| self.fill(text)).collect::<Result<Vec<_>, _>>()?;
        match (name, &variables[..], &texts[..]) {
            ("ask", [_], [_]) => Ok(Step::Stop(self.ask(&variables, &texts))),
            ("ask_all", [_, ..], [_, ..]) if variables.len() == texts.len() => {
                Ok(Step::Stop(self.ask(&variables, &texts)))
            }
            ("done", [], [text]) => Ok(Step::Stop(self.finished(Finish::Completed { result: json!(text) }))),
            ("fail", [], [text]) => Ok(Step::Stop(self.failed(text.clone()))),
            _ => Err(format!("`{line}` is none of ask, ask_all, done and fail")),
        }
    }

    fn ask(&mut self, variables: &[&str], prompts: &[String]) -> FeedResult {
        let queries = variables.iter().zip(prompts).map(|(variable, prompt)| {
            let id = format!("q-{}", self.asked);
            self.asked += 1;
            self.history.push(json!({ "role": "worker", "query_id": id, "text": prompt }));
            let variable = (*variable).to_owned();
            self.open.push(Open { id: id.clone(), variable, answered: false });
            Query::new(id, prompt)
        });
        FeedResult::Paused { queries: queries.collect() }
    }

    fn failed(&self, error: String) -> FeedResult {
        self.finished(Finish::Failed { error: Some(error) })
    }

    fn finished(&self, state: Finish) -> FeedResult {
        FeedResult::Finished { state, metrics: json!({ "queries": self.asked }) }
    }

    /// Fills in `{name}` and `{ctx.key}` in a single pass; braces around anything but a name stay.
    fn fill(&self, text: &str) -> Result<String, String> {
        let mut filled = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            filled.push_str(before);
            match after.split_once('}').filter(|(name, _)| is_name(name)) {
                Some((name, tail)) => {
                    filled.push_str(&self.value(name).ok_or_else(|| format!("there is no `{name}`"))?);
                    rest = tail;
                }
                None => {
                    filled.push('{');
                    rest = after;
                }
            }
        }
        Ok(filled + rest)
    }

    fn value(&self, name: &str) -> Option<String> {
        let Some(path) = name.strip_prefix("ctx.") else { return self.values.get(name).cloned() };
        match path.split('.').try_fold(&self.ctx, |value, key| value.get(key))? {
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        }
    }
}

/// `a, b = name("text", ...)`: the variables, the name and the texts.
fn parse(line: &str) -> Result<(Vec<&str>, &str, Vec<String>), String> {
    let wrong = || format!("`{line}` is no statement; write name = ask(\"...\") or done(\"...\")");
    let (head, texts) = line.split_once('(').ok_or_else(wrong)?;
    let texts = texts.strip_suffix(')').ok_or_else(wrong)?;
    let texts =
        serde_json::from_str(&format!("[{texts}]")).map_err(|error| format!("{}: {error}", wrong()))?;
    let (variables, name) = head.rsplit_once('=').unwrap_or(("", head));
    let variables: Vec<_> = variables.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
    if variables.iter().all(|name| is_name(name)) {
        Ok((variables, name.trim(), texts))
    } else {
        Err(wrong())
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begin(code: &str) -> (Session, Value) {
        let (session, result) = Session::begin(code, json!({ "thing": "luck", "deep": { "n": 7 } }));
        (session, json!(result))
    }

    fn answer(session: &mut Session, query: Option<&str>, response: &str) -> Result<Value, String> {
        session.answer(query, response, &Value::Null).map(|result| json!(result))
    }

    fn result_of(finished: &Value) -> &Value {
        &finished["Finished"]["state"]["Completed"]["result"]
    }

    fn error_of(finished: &Value) -> &str {
        finished["Finished"]["state"]["Failed"]["error"].as_str().unwrap_or_default()
    }

    #[test]
    fn a_session_asks_and_goes_on_with_the_answer() {
        let (mut session, paused) = begin("name = ask(\"Who?\")\ndone(\"Hello {name} of {ctx.deep.n}\")");
        assert_eq!(paused["Paused"]["queries"][0]["prompt"], "Who?");
        assert!(session.is_paused());
        let finished = answer(&mut session, None, "{name}").unwrap();
        assert_eq!(result_of(&finished), "Hello {name} of 7", "an answer is not filled in again");
        assert!(!session.is_paused());
        assert!(answer(&mut session, Some("q-0"), "again").is_err(), "what is answered is not open");
    }

    #[test]
    fn several_queries_are_answered_one_by_one_in_any_order() {
        let (mut session, paused) =
            begin("a, b = ask_all(\"1?\", \"2?\")\nc = ask(\"3?\")\ndone(\"{a}{b}{c}\")");
        assert_eq!(paused["Paused"]["queries"].as_array().map(Vec::len), Some(2));
        assert!(answer(&mut session, None, "x").is_err(), "which one?");
        assert!(answer(&mut session, Some("q-9"), "x").is_err());
        assert_eq!(answer(&mut session, Some("q-1"), "2").unwrap(), json!({"Accepted": {"remaining": 1}}));
        assert_eq!(answer(&mut session, None, "1").unwrap()["Paused"]["queries"][0]["id"], "q-2");
        let finished = answer(&mut session, Some("q-2"), "3").unwrap();
        assert_eq!(
            (result_of(&finished), &finished["Finished"]["metrics"]["queries"]),
            (&json!("123"), &json!(3))
        );
        assert_eq!(session.history().as_array().map(Vec::len), Some(6));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        assert_eq!(error_of(&begin("fail(\"bad {ctx.thing}\")").1), "bad luck");
        for (code, why) in [
            ("# first\nnonsense", "line 2: `nonsense` is no statement"),
            ("done(\"{nobody}\")", "line 1: there is no `nobody`"),
            ("done(nothing)", "line 1: "),
            ("a = ask(\"1?\", \"2?\")", "line 1: "),
            ("a, b = ask_all(\"1?\")", "line 1: "),
            ("dance(\"x\")", "line 1: "),
        ] {
            let finished = begin(code).1;
            assert!(error_of(&finished).starts_with(why), "{finished} for {code}");
        }
        assert_eq!(result_of(&begin("\n# nothing\n").1), &Value::Null);
        assert_eq!(result_of(&begin("done(\"a {b c} {} {\")").1), "a {b c} {} {");
    }
}
