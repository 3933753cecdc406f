/** The component: the contract's exports over `policy`. Rarely needs a change. */
import { policy, type Request } from "./policy";
import { ranked } from "../vendor/pilothouse";
import { answered, lifecycleOf, settled } from "../vendor/lifecycle";

const { lifecycle, instance } = lifecycleOf(policy);
export { lifecycle };

type Given = Request & { class: number };
const place = (given: Given) => policy.place(instance.fleet, instance.members(given.class), given);
const unsupported = () => {
  throw { tag: "unsupported" };
};

export const placement = {
  place: (given: Given) => answered(() => place(given)),
  rank(given: Given, limit: number) {
    return answered(() => {
      const members = instance.members(given.class);
      return ranked(members, place(given), limit, (row) => policy.score(instance.fleet, members, given, row));
    });
  },
  placeMany: (given: Given[]) => given.map((one) => settled(() => place(one))),
  suggestMoves: unsupported,
  chooseVictims: unsupported,
};
