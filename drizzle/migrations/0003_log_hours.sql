CREATE TABLE `log_hours` (
	`hour` integer PRIMARY KEY NOT NULL,
	`head` text NOT NULL
);
