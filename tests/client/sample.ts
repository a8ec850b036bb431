// A page in TypeScript, compiled and not run, by types.test.mjs.
import { CloseCode, connect, LiveError, ref } from "#client";
import type { Query, State, Stream } from "#client";

interface Question {
  id: number;
  question_text: string;
}

const live = connect();
const state: State = live.state;
const end: () => void = live.on("state", (now) => console.log(now, state));
live.on("message", ({ direction, message }) => console.log(direction, message));

export async function show(): Promise<void> {
  const query: Query<Question> = await live.query<Question>("/api/questions/", (questions, change) => {
    const texts: string[] = questions.map((question) => question.question_text);
    const kind: "loaded" | "changed" | "revoked" | "suspended" = change.reason;
    console.log(texts, kind, change.added[0]?.id);
  });
  query.close();

  const stream: Stream<Question> = live.stream<Question>("questions");
  stream.on("update", ({ pk, data }) => console.log(pk, data.question_text));
  stream.on("resumed", () => undefined);
  const { tracked } = await stream.subscribe("update", { filter: { published: true } });
  const made: Question = await stream.create({ question_text: "Why?" });
  await stream.action("vote", { pk: made.id });

  const [result] = await live.batch([
    { method: "POST", relative_url: "/api/questions/", name: "q", body: { question_text: "Why?" } },
    { method: "POST", relative_url: "/api/choices/", body: { question: ref("q", "$.id"), choice_text: "Because." } },
  ]);
  console.log(result?.ok, tracked);

  try {
    await live.request("POST", "/api/choices/1/vote/");
  } catch (error) {
    if (error instanceof LiveError) console.log(error.status, error.code === "lost", CloseCode.SHUTTING_DOWN);
  }
  end();
}

// @ts-expect-error: there is no such event
live.on("nonsense", () => undefined);
// @ts-expect-error: nobody can subscribe to reading
void live.stream("questions").subscribe("retrieve");
// @ts-expect-error: a query needs something to do with the items
void live.query("/api/questions/");
