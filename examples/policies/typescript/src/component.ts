/** The component: the contract's exports over `policy`. Rarely needs a change. */
import { policy, type Request } from "./policy";
import { ranked } from "../vendor/pilothouse";
import { answered, lifecycleOf, settled } from "../vendor/lifecycle";

const { lifecycle, instance } = lifecycleOf(policy);
export { lifecycle };

type Given = Request & { class: number };
const choose = (given: Given) => policy.choose(instance.fleet, instance.members(given.class), given);

export const balancing = {
  choose: (given: Given) => answered(() => choose(given)),
  rank(given: Given, limit: number) {
    return answered(() => {
      const members = instance.members(given.class);
      return ranked(members, choose(given), limit, (row) => policy.score(instance.fleet, members, row));
    });
  },
  chooseMany: (given: Given[]) => given.map((one) => settled(() => choose(one))),
};
