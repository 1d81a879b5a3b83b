const key = 'star-server-token';

/** What a server that asks for a token is sent. It stays in this tab, and goes with it. */
export const keptToken = (): string | undefined => sessionStorage.getItem(key) ?? undefined;
export const keepToken = (token: string): void => sessionStorage.setItem(key, token);
export const forgetToken = (): void => sessionStorage.removeItem(key);
