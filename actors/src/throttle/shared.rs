//! The limits that all processes share: one script for all that gathered, by Redis' own clock.
//!
//! A limit is a key that holds when it will be full again, in microseconds since 1970, and goes at that time. So what
//! Redis holds is bounded by what was done lately, and what it loses is what was counted, never who is admitted.

use std::sync::Arc;

use redis::{Script, ScriptInvocation};

use super::circuit::Circuit;
use super::gcra::{Mark, Need, Weight};
use super::message::{Check, Settle, Weigh, Weighed};
use crate::kit::batcher::{Answers, Gather};
use crate::kit::redis::Redis;
use crate::kit::{Fault, Scope};

/// Works off checks and settlements in their order; the arithmetic is that of [`super::gcra`]. Answers to a check
/// with whether it is admitted, and the debt and the mark of each limit.
const WEIGH: &str = r"
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local keys, numbers = 0, 0
local function key() keys = keys + 1; return KEYS[keys] end
local function number() numbers = numbers + 1; return tonumber(ARGV[numbers]) end
local function debt(key)
    local full_at = redis.call('GET', key)
    return full_at and math.max(0, tonumber(full_at) - now) or 0
end
local function owe(key, debt)
    if debt > 0 then
        redis.call('SET', key, string.format('%.0f', now + debt), 'PX', math.ceil(debt / 1000))
    else
        redis.call('DEL', key)
    end
end
local function check()
    local exempt = number() == 1 and debt(key()) > 0
    local limits, all, any, anys = {}, true, false, 0
    for at = 1, number() do
        local limit = {key = key()}
        limit.interval = number()
        limit.depth = number()
        limit.needed = number() == 1
        limit.debt = math.min(debt(limit.key), limit.depth)
        limit.room = limit.debt + limit.interval <= limit.depth
        limit.applies = at == 1 or not exempt
        if limit.applies then
            if limit.needed then all = all and limit.room else any, anys = any or limit.room, anys + 1 end
        end
        limits[at] = limit
    end
    local admitted = all and (anys == 0 or any)
    local answer = {admitted and 1 or 0}
    for _, limit in ipairs(limits) do
        local mark = not limit.applies and 2 or (admitted and limit.room) and 1 or 0
        if mark == 1 then
            limit.debt = limit.debt + limit.interval
            owe(limit.key, limit.debt)
        end
        answer[#answer + 1], answer[#answer + 2] = limit.debt, mark
    end
    return answer
end
local function settle()
    for _ = 1, number() do redis.call('DEL', key()) end
    for _ = 1, number() do
        local limit = key()
        owe(limit, debt(limit) - number())
    end
    for _ = 1, number() do owe(key(), number()) end
    return {1}
end
local answers = {}
while numbers < #ARGV do
    answers[#answers + 1] = number() == 1 and check() or settle()
end
return answers
";

/// The rules of the actor that asks Redis.
pub(super) struct Checks {
    redis: Redis,
    script: Script,
    circuit: Arc<Circuit>,
}

impl Checks {
    pub(super) fn new(redis: Redis, circuit: Arc<Circuit>) -> Self {
        Self { redis, script: Script::new(WEIGH), circuit }
    }
}

impl Gather for Checks {
    type Command = Weigh;

    async fn run(&self, commands: &[Weigh], scope: &Scope) -> Answers<Weigh> {
        let mut invocation = self.script.prepare_invoke();
        for command in commands {
            match command {
                Weigh::Check(check) => write_check(&mut invocation, check),
                Weigh::Settle(settle) => write_settle(&mut invocation, settle),
            }
        }
        let answers: Result<Vec<Vec<u64>>, Fault> = self.redis.script(scope, "throttle/weigh", &invocation).await;
        match answers {
            Ok(answers) => {
                self.circuit.close();
                answers.iter().map(|answer| Ok(Ok(read(answer)?))).collect()
            }
            Err(fault) => {
                self.circuit.open(&fault);
                Err(fault)
            }
        }
    }
}

fn write_check(invocation: &mut ScriptInvocation<'_>, check: &Check) {
    invocation.arg(1).arg(u8::from(check.exempt.is_some()));
    if let Some(key) = &check.exempt {
        invocation.key(&**key);
    }
    invocation.arg(check.limits().count());
    for limit in check.limits() {
        invocation.key(&*limit.key).arg(limit.rate.interval()).arg(limit.rate.depth());
        invocation.arg(u8::from(limit.need == Need::This));
    }
}

fn write_settle(invocation: &mut ScriptInvocation<'_>, settle: &Settle) {
    invocation.arg(2).arg(settle.clear.len());
    for key in &settle.clear {
        invocation.key(&**key);
    }
    invocation.arg(settle.give_back.len());
    for (key, rate) in &settle.give_back {
        invocation.key(&**key).arg(rate.interval());
    }
    invocation.arg(settle.remember.iter().count());
    if let Some((key, lasts)) = &settle.remember {
        invocation.key(&**key).arg(u64::try_from(lasts.as_micros()).unwrap_or(u64::MAX));
    }
}

fn read(answer: &[u64]) -> Result<Weighed, Fault> {
    let (admitted, weights) =
        answer.split_first().ok_or_else(|| Fault::internal("an answer of the script is empty"))?;
    let weight = |pair: &[u64]| match pair {
        [debt, 0] => Ok(Weight { debt: *debt, mark: Mark::Left }),
        [debt, 1] => Ok(Weight { debt: *debt, mark: Mark::Counted }),
        [debt, 2] => Ok(Weight { debt: *debt, mark: Mark::Skipped }),
        _ => Err(Fault::internal("an answer of the script is not what it should be")),
    };
    Ok(Weighed { admitted: *admitted == 1, weights: weights.chunks(2).map(weight).collect::<Result<_, _>>()? })
}
