import { InvalidArgumentError } from 'commander';

const rangeOf = (low: number, high: number): string =>
  high === Number.MAX_SAFE_INTEGER ? `from ${low}` : `from ${low} to ${high}`;

/** Reads an option as a whole number of a range. @throws InvalidArgumentError, which commander reports with the option's name */
export const wholeNumber =
  (low: number, high: number = Number.MAX_SAFE_INTEGER): ((text: string) => number) =>
  (text) => {
    const value = Number(text);
    if (text.trim() !== '' && Number.isSafeInteger(value) && value >= low && value <= high) return value;
    throw new InvalidArgumentError(`It must be a whole number ${rangeOf(low, high)}.`);
  };

/** Reads an option as a number of a range. @throws InvalidArgumentError, which commander reports with the option's name */
export const numberIn =
  (low: number, high: number): ((text: string) => number) =>
  (text) => {
    const value = Number(text);
    if (text.trim() !== '' && value >= low && value <= high) return value;
    throw new InvalidArgumentError(`It must be a number ${rangeOf(low, high)}.`);
  };
