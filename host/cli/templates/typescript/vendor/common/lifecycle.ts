/** The lifecycle that every family exports, over one policy. */
import { Fleet, Members, NothingSuits, type About, type Settings, type Word } from "./pilothouse";

type Setting = { path: string; value: { tag: string; val: boolean | number | string } };
type ClassUpdate = {
  class: number;
  eligible: Word[];
  sourceRegion: number;
  sourceZone: number;
  rttMs: ArrayLike<number>;
};
type Policy = { about: About; configure?(settings: Settings): void };

export type Instance = { fleet: Fleet; members(id: number): Members };

/** The exports, and what decisions look at. */
export function lifecycleOf(policy: Policy) {
  const { about } = policy;
  const classes = new Map<number, Members>();
  const instance: Instance = {
    fleet: new Fleet(about.columns),
    members(id) {
      const found = classes.get(id);
      if (!found) throw new Error(`the host did not announce class ${id}`);
      return found;
    },
  };
  const lifecycle = {
    describe: () => ({
      name: POLICY_NAME,
      version: POLICY_VERSION,
      summary: about.summary,
      columns: about.columns.map((column) => column.name),
      settingsSchema: about.settingsSchema ? JSON.stringify(about.settingsSchema) : "",
      reasons: about.reasons,
      factors: about.factors ?? [],
    }),
    configure(settings: Setting[]) {
      policy.configure?.(new Map(settings.map(({ path, value }) => [path, value.val])));
    },
    syncBlock(_epoch: number, rows: number, index: number, words: Word[]) {
      instance.fleet.syncBlock(rows, index, words);
    },
    syncClass(update: ClassUpdate) {
      const rows = Members.eligible(update.eligible);
      classes.set(update.class, new Members(rows, update.sourceRegion, update.sourceZone, update.rttMs));
    },
    dropClass(id: number) {
      classes.delete(id);
    },
  };
  return { lifecycle, instance };
}

type Refusal = { tag: "nothing-suits"; val: number } | { tag: "other"; val: string };

function refusal(error: unknown): Refusal {
  if (error instanceof NothingSuits) return { tag: "nothing-suits", val: error.reason };
  return { tag: "other", val: String(error) };
}

/** An answer, or a refusal thrown as the contract has it. */
export function answered<T>(decide: () => T): T {
  try {
    return decide();
  } catch (error) {
    throw refusal(error);
  }
}

/** The same as a value, for batches. */
export function settled<T>(decide: () => T): { tag: "ok"; val: T } | { tag: "err"; val: Refusal } {
  try {
    return { tag: "ok", val: decide() };
  } catch (error) {
    return { tag: "err", val: refusal(error) };
  }
}
