/** What a policy in TypeScript reads and answers. Units are those of wit/. */

/** A column and how it lies in a block; see `sync-block` in wit/deps/host/lifecycle.wit. */
export type Column = { readonly name: string; readonly layout: "half" | "whole" | "bits" | "class" };
export const half = (name: string): Column => ({ name, layout: "half" });
export const whole = (name: string): Column => ({ name, layout: "whole" });
export const bits = (name: string): Column => ({ name, layout: "bits" });
export const RTT_MS: Column = { name: "rtt-ms", layout: "class" };

/** Who the policy is. */
export type About = {
  summary: string;
  columns: Column[];
  settingsSchema?: object;
  reasons: string[];
  factors?: string[];
};

export type Choice = { row: number; score: number; reason: number };
export type Candidate = Choice & { factors: number[] };
export type Settings = Map<string, boolean | number | string>;

/** Nothing suits; carries an index into `about.reasons`. */
export class NothingSuits extends Error {
  constructor(readonly reason: number) {
    super("nothing suits");
  }
}

/** 64 bits as the bundler's world gives them: low and high half, because a number of JavaScript has 53. */
export type Word = [number, number];

const LANES = 64;
const WORDS = { half: 32, whole: 64, bits: 256, class: 0 };
const scratch = new DataView(new ArrayBuffer(4));

/** The mirror of the fleet. Unknown rows read as 0. */
export class Fleet {
  private readonly offsets = new Map<Column, number>();
  private blocks: Uint32Array[] = [];

  constructor(columns: Column[]) {
    let offset = 0;
    for (const column of columns) {
      this.offsets.set(column, offset);
      offset += WORDS[column.layout];
    }
  }

  /** A value of a `u32` column. */
  u32(column: Column, row: number): number {
    const lane = row % LANES;
    return this.blocks[(row - lane) / LANES]?.[2 * this.offset(column) + lane] ?? 0;
  }

  /** A value of an `f32` column; NaN if it is not known. */
  f32(column: Column, row: number): number {
    scratch.setUint32(0, this.u32(column, row));
    return scratch.getFloat32(0);
  }

  /** A value of a `u64` column. */
  u64(column: Column, row: number): bigint {
    const lane = row % LANES;
    const block = this.blocks[(row - lane) / LANES];
    const at = 2 * (this.offset(column) + lane);
    return BigInt(block?.[at] ?? 0) | (BigInt(block?.[at + 1] ?? 0) << 32n);
  }

  syncBlock(rows: number, index: number, words: Word[]): void {
    const block = new Uint32Array(2 * words.length);
    words.forEach(([low, high], at) => {
      block[2 * at] = low;
      block[2 * at + 1] = high;
    });
    this.blocks[index] = block;
    this.blocks.length = Math.ceil(rows / LANES);
  }

  private offset(column: Column): number {
    const offset = this.offsets.get(column);
    if (offset === undefined) throw new Error(`add ${column.name} to about.columns to read it`);
    return offset;
  }
}

/** The members that are eligible for a request, ascending; at least one. */
export class Members {
  constructor(
    readonly rows: number[],
    readonly sourceRegion = 0,
    readonly sourceZone = 0,
    private readonly rtt: ArrayLike<number> = [],
  ) {}

  /** Round-trip time from the source, ms; NaN if it is not known. */
  rttMs(row: number): number {
    return this.rtt[row] ?? NaN;
  }

  static eligible(words: Word[]): number[] {
    const rows: number[] = [];
    words.forEach((halves, index) => {
      halves.forEach((half, upper) => {
        for (let lane = 0; lane < 32; lane++) {
          if ((half >>> lane) & 1) rows.push(64 * index + 32 * upper + lane);
        }
      });
    });
    return rows;
  }
}

/** Randomness from the request's seed (mulberry32). */
export class Rng {
  private state: number;

  constructor(seed: number) {
    // The seed has 64 bits and came as a number: both ends of it count.
    this.state = (seed % 4294967296 ^ (seed / 4294967296)) >>> 0;
  }

  /** 0 <= n < bound */
  below(bound: number): number {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    let z = this.state;
    z = Math.imul(z ^ (z >>> 15), z | 1);
    z ^= z + Math.imul(z ^ (z >>> 7), z | 61);
    return Math.floor((((z ^ (z >>> 14)) >>> 0) / 4294967296) * bound);
  }
}

/** A choice, then the others by score: what `rank` answers. */
export function ranked(members: Members, chosen: Choice, limit: number, score: (row: number) => number): Candidate[] {
  const others = members.rows
    .filter((row) => row !== chosen.row)
    .map((row) => ({ row, score: score(row), reason: chosen.reason, factors: [] }))
    .filter((candidate) => candidate.score > -Infinity)
    .sort((a, b) => b.score - a.score || a.row - b.row);
  return [{ ...chosen, factors: [] }, ...others.slice(0, limit - 1)];
}

/** A fleet for tests: each column's values by row, and everybody eligible. */
export function fleetOf(columns: Column[], values: [Column, number[], "u32" | "f32"][]): Fleet {
  const fleet = new Fleet(columns);
  const rows = Math.max(...values.map(([, list]) => list.length));
  const words: Word[] = columns.flatMap((column) => Array.from({ length: WORDS[column.layout] }, (): Word => [0, 0]));
  let offset = 0;
  for (const column of columns) {
    for (const [given, list, type] of values) {
      if (given !== column) continue;
      list.forEach((value, row) => {
        if (type === "f32") scratch.setFloat32(0, value);
        else scratch.setUint32(0, value);
        const word = words[offset + (row >> 1)];
        if (word) word[row % 2] = scratch.getUint32(0);
      });
    }
    offset += WORDS[column.layout];
  }
  fleet.syncBlock(rows, 0, words);
  return fleet;
}
