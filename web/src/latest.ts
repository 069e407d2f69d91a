/** One question under way at a time: while it runs only the newest is kept, so that answers never queue up. */

export function latest<Question>(answer: (question: Question) => Promise<void>): (question: Question) => void {
  let busy = false;
  let waiting: { question: Question } | null = null;
  const run = async (question: Question): Promise<void> => {
    busy = true;
    try {
      await answer(question);
    } finally {
      busy = false;
      const next = waiting;
      waiting = null;
      if (next) void run(next.question);
    }
  };
  return (question) => {
    if (busy) waiting = { question };
    else void run(question);
  };
}
